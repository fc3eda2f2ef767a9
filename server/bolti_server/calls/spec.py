"""All that a worker has to know to talk: the pinned agent version with variables resolved, models, limits, the line.

Rule: the LLM never sees braces; a variable's value comes from the request, and the built-in ones from us, at the start of
the call in the agent's time zone. Secrets are not part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from bolti_server.agents import reading as agents
from bolti_server.agents import specs
from bolti_server.agents.reading import AgentForCall
from bolti_server.agents.variables import Value
from bolti_server.base.db import Tx, decode_json
from bolti_server.base.errors import Refusal
from bolti_server.base.logging import get_logger
from bolti_server.calls import leases
from bolti_server.calls import worker_queries as queries
from bolti_server.calls.lifecycle import Status
from bolti_server.calls.worker_queries import LiveCall
from bolti_server.contract import structs
from bolti_server.worker_api.messages import (
    CallSpec,
    LineSpec,
    LlmSpec,
    SilencePromptSpec,
    SpokenTurn,
    SttSpec,
    Takeover,
    ToolSpec,
    TtsSpec,
    TurnSpec,
    VoicemailSpec,
)
from bolti_server.world import World

log = get_logger("spec")


async def spec_of(world: World, conversation_id: str, epoch: int) -> CallSpec:
    """The spec of a living call. Raises Refusal 409 for an older epoch or a call that is over."""
    async with world.db.transaction(is_readonly=True) as tx:
        call = await queries.find_call_of_any_workspace(tx, conversation_id)
        if call is None or call.is_over:
            raise Refusal(409, "conversation_over", "The conversation is over: stop.")
        leases.check_epoch(call, epoch)
        agent = await agent_of(tx, call)
        turns = await queries.list_turns(tx, call.workspace_id, call.id) if epoch > 1 else []
        tools = await specs.llm_tools(tx, call.workspace_id, agent.configuration)
    return _spec(call, agent, tools, turns)


async def specs_of_claimed(tx: Tx, conversation_ids: Sequence[str]) -> dict[str, CallSpec]:
    """The specs of calls that this transaction leases for the first time, by id; what can't be made is left out, so that
    one broken call holds up no other: its worker asks for it, and hears what is wrong."""
    found: dict[str, CallSpec] = {}
    agents_used: dict[tuple[str, int], tuple[AgentForCall, list[ToolSpec]]] = {}
    for call in await queries.list_calls_of_any_workspace(tx, conversation_ids):
        if call.epoch > 1:
            continue
        key = (call.agent_id, call.agent_version)
        if key not in agents_used:
            agent = await agent_of(tx, call)
            tools = await specs.llm_tools(tx, call.workspace_id, agent.configuration)
            agents_used[key] = agent, tools
        agent, tools = agents_used[key]
        try:
            found[call.id] = _spec(call, agent, tools, [])
        except (
            msgspec.MsgspecError,
            ValueError,
            LookupError,
        ) as error:  # what is stored fits no more
            log.error("spec_failed", conversation_id=call.id, exc_info=error)
    return found


def _spec(
    call: LiveCall, agent: AgentForCall, tools: list[ToolSpec], encoded: Sequence[str]
) -> CallSpec:
    """`encoded`: the turns that the record has."""
    turns = [msgspec.json.decode(each, type=structs.Turn) for each in encoded]
    configuration = agent.configuration
    values = values_of(call, agent)
    return CallSpec(
        conversation_id=call.id,
        epoch=call.epoch,
        direction=call.direction,
        agent_name=configuration.name,
        instructions=specs.instructions(configuration, values),
        greeting=specs.greeting(configuration, values),
        disclosure_text=specs.disclosure(configuration, values),
        opt_out_key=configuration.opt_out_key,
        primary_language=configuration.primary_language,
        timezone=configuration.timezone,
        stt=msgspec.convert(configuration.stt, SttSpec, from_attributes=True),
        llm=msgspec.convert(configuration.llm, LlmSpec, from_attributes=True),
        tts=msgspec.convert(configuration.tts, TtsSpec, from_attributes=True),
        stt_fallbacks=[
            msgspec.convert(each, SttSpec, from_attributes=True)
            for each in configuration.stt_fallbacks
        ],
        llm_fallbacks=[
            msgspec.convert(each, LlmSpec, from_attributes=True)
            for each in configuration.llm_fallbacks
        ],
        tts_fallbacks=[
            msgspec.convert(each, TtsSpec, from_attributes=True)
            for each in configuration.tts_fallbacks
        ],
        turn=msgspec.convert(configuration.turn, TurnSpec, from_attributes=True),
        tools=tools,
        line=_line(call),
        ring_timeout_seconds=call.ring_timeout_seconds,
        max_duration_seconds=call.max_duration_seconds,
        is_cap_shortened=call.is_cap_shortened,
        silence_timeout_seconds=configuration.limits.silence_timeout_seconds,
        is_recording_enabled=configuration.is_recording_enabled,
        transcript_so_far=[SpokenTurn(role=turn.role, text=turn.text) for turn in turns],
        voicemail=msgspec.convert(
            {
                "behaviour": configuration.voicemail.behaviour,
                "message": specs.voicemail_message(configuration, values),
            },
            VoicemailSpec,
        ),
        is_answering_machine_detection_enabled=(
            configuration.is_answering_machine_detection_enabled and call.direction == "outbound"
        ),
        silence_prompt=SilencePromptSpec(
            times=configuration.silence_prompt.times,
            text=specs.silence_prompt(configuration, values),
        ),
        takeover=_takeover(call, turns),
    )


async def agent_of(tx: Tx, call: LiveCall) -> AgentForCall:
    """The version that the call pinned."""
    agent = await agents.version_for_call(tx, call.workspace_id, call.agent_id, call.agent_version)
    assert agent is not None, f"{call.id} uses an agent version that does not exist"
    return agent


def values_of(call: LiveCall, agent: AgentForCall) -> dict[str, Value]:
    """The request's variables and the built-in ones, which the request can't replace."""
    given: dict[str, Value] = decode_json(call.variable_values)
    return {**given, **built_in_values(call, agent, call.now)}


def built_in_values(call: LiveCall, agent: AgentForCall, now: datetime) -> dict[str, Value]:
    """product.md §4. The caller is who dials: the agent's number in an outbound call. No campaign: empty."""
    zone = agent.configuration.timezone
    local = now.astimezone(ZoneInfo(zone))
    return {
        "conversation_id": call.id,
        "agent_name": agent.name,
        "direction": call.direction,
        "from_number": call.from_number or "",
        "to_number": call.to_number or "",
        "caller_number": call.from_number or "",
        "callee_number": call.to_number or "",
        "current_date": f"{local:%Y-%m-%d}",
        "current_time": f"{local:%H:%M}",
        "current_weekday": f"{local:%A}",
        "timezone": zone,
        "campaign_name": "",
    }


def _line(call: LiveCall) -> LineSpec:
    kind: Literal["simulated", "room", "browser"]
    match call.line:
        case "room" | "browser" as kind:
            assert call.room_name is not None, f"{call.id} has no room"
        case _:
            assert call.simulated, "a line in the worker is of the simulated network"
            kind = "simulated"
    if kind != "browser":
        is_told = call.from_number is not None or call.direction == "inbound"  # callers withhold it
        assert is_told, f"{call.id} has no number that calls"
        assert call.to_number is not None, f"{call.id} has no number that is called"
    return LineSpec(
        kind=kind,
        from_number=call.from_number,
        to_number=call.to_number,
        scenario=call.scenario,
        script=call.script,
        is_text=call.line == "text",
        is_simulated=call.simulated,
        room=call.room_name,
    )


def _takeover(call: LiveCall, turns: Sequence[structs.Turn]) -> Takeover | None:
    """Of an agent that replaces one that was lost after its intent: the line is there, or was."""
    if call.rescue_count == 0 or call.status is Status.QUEUED:
        return None
    answered_ms_ago = None
    if call.answered_at is not None:
        answered_ms_ago = max(0, round((call.now - call.answered_at).total_seconds() * 1000))
    return Takeover(
        answered_ms_ago=answered_ms_ago,
        turn_count=max((turn.index + 1 for turn in turns), default=0),
    )
