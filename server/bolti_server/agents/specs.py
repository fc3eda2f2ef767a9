"""What a worker gets of an agent: the texts with variables resolved, and the tools as an LLM sees them.

Rule: the LLM never sees braces, and of a tool it sees name, description and parameters only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bolti_server.agents.reading_tools import tools_of
from bolti_server.agents.tool_schemas import closed
from bolti_server.agents.variables import Value, resolve
from bolti_server.base.db import Tx
from bolti_server.contract.structs import AgentConfiguration, TransferMode, TransferTarget
from bolti_server.worker_api.messages import ToolSpec

CUT_CALL = ToolSpec(
    name="cut_call",
    description=(
        "Hang up the phone. Use it when the conversation is over or when the other side asks to end it. "
        "Say goodbye first: what you say before is spoken to its end."
    ),
    parameters={
        "type": "object",
        "properties": {
            "reason": {"type": "string", "description": "Why the call ends, in a few words."}
        },
        "additionalProperties": False,
    },
    is_built_in=True,
)
SEND_DTMF = ToolSpec(
    name="send_dtmf",
    description=(
        "Press keys on the phone, for example to choose from a menu or to give an extension. "
        "What you say before is spoken to its end; then wait for what the other side says."
    ),
    parameters={
        "type": "object",
        "properties": {
            "digits": {
                "type": "string",
                "description": "The keys in their order: 0-9, *, #, A-D; w waits half a second.",
            }
        },
        "required": ["digits"],
        "additionalProperties": False,
    },
    is_built_in=True,
)
SCHEDULE_CALLBACK = ToolSpec(
    name="schedule_callback",
    description=(
        "Schedule a call back to the person you are talking to. Ask when it suits them, in their words, and turn that "
        "into a date and a time. The result says the time that was booked: repeat it to them."
    ),
    parameters={
        "type": "object",
        "properties": {
            "at": {
                "type": "string",
                "description": "When, as 2026-11-26T10:00 in your time zone, or with an offset.",
            },
            "reason": {"type": "string", "description": "What the call will be about, in short."},
        },
        "required": ["at"],
        "additionalProperties": False,
    },
    is_built_in=True,
)
_BUILT_IN: Mapping[str, ToolSpec] = {
    "cut_call": CUT_CALL,
    "send_dtmf": SEND_DTMF,
    "schedule_callback": SCHEDULE_CALLBACK,
}

_PHONE_MANNERS = (
    "You are speaking on the telephone: answer in short spoken sentences, without lists, markup or emojis, "
    "and write numbers the way they are said."
)


def instructions(configuration: AgentConfiguration, values: Mapping[str, Value]) -> str:
    """The system message: who the agent is, what it wants, what it must not do, and where it is."""
    sections: list[tuple[str | None, str | None]] = [
        (None, f"You are {configuration.name}. {_PHONE_MANNERS}"),
        ("Persona", configuration.persona),
        ("Goal", configuration.goal),
        ("Instructions", configuration.system_prompt),
        ("Guardrails", configuration.guardrails),
        ("Circumstances", _circumstances(configuration, values)),
    ]
    texts: list[str] = []
    for title, text in sections:
        resolved = resolve(text or "", values).strip()
        if resolved:
            texts.append(f"# {title}\n{resolved}" if title else resolved)
    return "\n\n".join(texts)


def greeting(configuration: AgentConfiguration, values: Mapping[str, Value]) -> str | None:
    """What the agent says first; None: it waits for the other side."""
    return _spoken(configuration.first_message, values)


def disclosure(configuration: AgentConfiguration, values: Mapping[str, Value]) -> str | None:
    """What has to be said before anything else; None: nothing."""
    return _spoken(configuration.disclosure_text, values)


async def llm_tools(tx: Tx, workspace_id: str, configuration: AgentConfiguration) -> list[ToolSpec]:
    """The built-in tools that are switched on and can do something, then the workspace's HTTP tools that still exist, in
    the agent's order."""
    built_in = [
        tool
        for name in configuration.built_in_tools
        if (tool := _built_in(name, configuration)) is not None
    ]
    tools = await tools_of(tx, workspace_id, configuration.tool_ids)
    return built_in + [
        ToolSpec(
            name=tool.name,
            description=tool.description,
            parameters=_plain(closed(tool.input_schema)),
            timeout_ms=tool.timeout_ms,
        )
        for tool in tools
    ]


def voicemail_message(configuration: AgentConfiguration, values: Mapping[str, Value]) -> str | None:
    """What the agent leaves in a mailbox; None: nothing."""
    return _spoken(configuration.voicemail.message, values)


def silence_prompt(configuration: AgentConfiguration, values: Mapping[str, Value]) -> str | None:
    """What the agent says in a silence; None: the phrase of its language."""
    return _spoken(configuration.silence_prompt.text, values)


def _built_in(name: str, configuration: AgentConfiguration) -> ToolSpec | None:
    if name == "transfer_call":
        return _transfer_call(configuration.transfer_targets)
    return _BUILT_IN[name]


def _transfer_call(targets: Sequence[TransferTarget]) -> ToolSpec | None:
    """None without a target: a model that has the tool would use it."""
    if not targets:
        return None
    names = [target.name for target in targets]
    properties: dict[str, Any] = {
        "target": {"type": "string", "enum": names, "description": "Who gets the call."},
        "reason": {"type": "string", "description": "Why, in a few words."},
    }
    warm = [target.name for target in targets if target.mode == TransferMode.warm]
    if warm:
        properties["introduction"] = {
            "type": "string",
            "description": (
                f"For {', '.join(warm)}: what you say, in one or two sentences, when they have picked up and are on "
                "the line with you and the other side: who is calling, and what for."
            ),
        }
    return ToolSpec(
        name="transfer_call",
        description=(
            "Hand the call to somebody else and leave it. Say first whom you connect them with: what you say before is "
            "spoken to its end. If nobody takes it, the call comes back to you, and the result says why."
        ),
        parameters={
            "type": "object",
            "properties": properties,
            "required": ["target"],
            "additionalProperties": False,
        },
        is_built_in=True,
    )


def _circumstances(configuration: AgentConfiguration, values: Mapping[str, Value]) -> str:
    lines = [
        f"Speak {configuration.primary_language} unless the other side prefers another language."
    ]
    if "current_date" in values and "current_time" in values:
        weekday = f"{values['current_weekday']}, " if "current_weekday" in values else ""
        lines.append(
            f"It is {weekday}{values['current_date']}, {values['current_time']} ({configuration.timezone})."
        )
    else:
        lines.append(f"Times are in {configuration.timezone}.")
    return "\n".join(lines)


def _spoken(text: str | None, values: Mapping[str, Value]) -> str | None:
    return resolve(text or "", values).strip() or None


def _plain(schema: Mapping[str, Any]) -> dict[str, Any]:
    return dict(schema)
