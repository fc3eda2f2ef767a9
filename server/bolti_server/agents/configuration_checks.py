"""What is wrong with an agent, found when it is saved: all of it at once, with pointers. Pure.

Rule: an agent that is saved can hold a call. What a JSON Schema of the contract can say is checked there; here is what
takes knowledge: the catalogue, templates, time zones, patterns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bolti_server.agents.fallback_checks import fallback_faults
from bolti_server.agents.tool_checks import template_faults
from bolti_server.agents.variables import required_names, tags
from bolti_server.base.errors import Fault
from bolti_server.contract.structs import AgentConfiguration
from bolti_server.models import catalogue
from bolti_server.simulated.rules import complaint_about

# A call's `variable_values` take these names and so many of them (VariableValues in the contract).
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
MAX_VARIABLES = 200

_TEXTS = ("system_prompt", "first_message", "persona", "goal", "guardrails", "disclosure_text")


def texts_of(configuration: AgentConfiguration) -> dict[str, str]:
    """The texts in which variables may stand, by field (a field of a field: by the way to it)."""
    return {
        **{name: getattr(configuration, name) or "" for name in _TEXTS},
        "voicemail/message": configuration.voicemail.message or "",
        "silence_prompt/text": configuration.silence_prompt.text or "",
    }


def faults_of_configuration(
    configuration: AgentConfiguration, allowed_base_urls: Iterable[str]
) -> list[Fault]:
    """Everything that would keep the agent from working, but for tools that do not exist."""
    return [
        *catalogue.faults_of(
            configuration.stt,
            configuration.llm,
            configuration.tts,
            configuration.primary_language,
            allowed_base_urls,
        ),
        *fallback_faults(configuration, allowed_base_urls),
        *_text_faults(configuration),
        *_timezone_faults(configuration.timezone),
        *_turn_faults(configuration),
        *_rule_faults(configuration),
        *_voicemail_faults(configuration),
        *_transfer_faults(configuration),
    ]


def _text_faults(configuration: AgentConfiguration) -> Iterator[Fault]:
    texts = texts_of(configuration)
    for field, text in texts.items():
        yield from template_faults(text, f"/{field}")
        names = dict.fromkeys(tag.name for tag in tags(text))
        for name in names:
            if _NAME.fullmatch(name) is None:
                detail = (
                    f"{name[:60]!r} can't be given a value: a variable's name is of a-z, A-Z, 0-9 and _, "
                    "does not begin with a digit, and has at most 128 characters."
                )
                yield Fault("invalid_template", detail, f"/{field}")
    required = required_names(texts.values())
    if len(required) > MAX_VARIABLES:
        detail = f"The texts need {len(required)} variables; a call can give {MAX_VARIABLES}."
        yield Fault("too_many", detail, "/system_prompt")


def _timezone_faults(timezone: str) -> Iterator[Fault]:
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        detail = f"{timezone!r} is no time zone of the IANA database, such as Asia/Kolkata or UTC."
        yield Fault("unknown_timezone", detail, "/timezone")


def _turn_faults(configuration: AgentConfiguration) -> Iterator[Fault]:
    turn = configuration.turn
    if turn.endpointing_max_delay_ms < turn.endpointing_min_delay_ms:
        detail = (
            f"The most silence waited for ({turn.endpointing_max_delay_ms} ms) is less than the least "
            f"({turn.endpointing_min_delay_ms} ms)."
        )
        yield Fault("out_of_range", detail, "/turn/endpointing_max_delay_ms")


def _voicemail_faults(configuration: AgentConfiguration) -> Iterator[Fault]:
    voicemail = configuration.voicemail
    if voicemail.behaviour == "leave_message" and not (voicemail.message or "").strip():
        detail = "Is required where the behaviour is leave_message: it is what the agent leaves."
        yield Fault("required", detail, "/voicemail/message")


def _transfer_faults(configuration: AgentConfiguration) -> Iterator[Fault]:
    names = [target.name for target in configuration.transfer_targets]
    for index, name in enumerate(names):
        if name in names[:index]:
            detail = f"{name!r} stands there twice: the language model could not tell them apart."
            yield Fault("not_unique", detail, f"/transfer_targets/{index}/name")


def _rule_faults(configuration: AgentConfiguration) -> Iterator[Fault]:
    models = {"/llm": configuration.llm} | {
        f"/llm_fallbacks/{index}": each for index, each in enumerate(configuration.llm_fallbacks)
    }
    for pointer, model in models.items():
        for index, rule in enumerate(model.rules):
            complaint = complaint_about(rule.hear)
            if complaint is not None:
                yield Fault("invalid_pattern", complaint, f"{pointer}/rules/{index}/hear")
