"""What a worker reports of its call: recorded first, then applied, under the conversation's row lock.

Rules: reports are numbered 1, 2, 3 … per (conversation, epoch) and applied in that order, each once; a repeated one
changes nothing, a gap is asked for, an older epoch is refused. What `lifecycle` calls old news or a break is recorded
with that verdict and changes nothing, except that a worker's `ended` always ends the call, unless another agent may go on
with it (`_another_agent`): with a code that can't be, it ends by our fault (`agent_lost`, free of charge); and an end
that comes too late still tells whether a recording that we await will come. Instants are the database's clock minus the
report's age.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import assert_never

import attrs
import msgspec

from bolti_server.base.db import Tx
from bolti_server.base.errors import Refusal
from bolti_server.base.logging import get_logger
from bolti_server.calls import (
    built_in_tools,
    do_not_call,
    events,
    leases,
    lifecycle,
    moves,
    recording_ends,
    rescuing,
)
from bolti_server.calls import worker_queries as queries
from bolti_server.calls.claiming import MOST_DISPATCHES
from bolti_server.calls.lifecycle import Decision, Fact, HangupCode, Move, OldNews, Status
from bolti_server.calls.moves import Ending, Moved
from bolti_server.calls.worker_queries import LineEvent, LiveCall
from bolti_server.contract import structs
from bolti_server.worker_api.messages import (
    EndReport,
    Report,
    Reports,
    ReportsAnswer,
    ToolCallReport,
    TurnLatency,
    TurnReport,
)
from bolti_server.world import World

MOST_REPORTS = 1000  # in one transaction
MOST_TURNS = 10_000
_MOST_AGE_MS = 7 * 24 * 3600 * 1000
_MOST_DETAIL_CHARACTERS = 1000
_SIP_STATUSES = range(100, 700)

_APPLIED = Move(None)
_OLD = OldNews()
_BREAK = lifecycle.Break()

log = get_logger("following")


async def follow(world: World, conversation_id: str, reports: Reports) -> ReportsAnswer:
    """Keeps the reports that are new, at most MOST_REPORTS of them: the answer says how far it came.

    Raises Refusal 409 for an older epoch.
    """
    async with world.db.transaction() as tx:
        call = await queries.lock_call_of_any_workspace(tx, conversation_id)
        if call is None:
            raise Refusal(409, "epoch_superseded", "There is no such conversation.")
        leases.check_epoch(call, reports.epoch)
        received_at = call.now
        last, wanted = call.last_report, None
        recorded: list[LineEvent] = []
        news = [report for report in reports.reports if report.number > last]
        ordered = sorted(news, key=lambda report: report.number)[:MOST_REPORTS]
        saved: dict[int, bool] = {}
        for position, report in enumerate(ordered):
            if report.number == last:
                continue  # twice in this batch
            if report.number != last + 1:
                wanted = last + 1
                break
            if report.type == "turn" and report.number not in saved:
                saved |= await _save_turns(tx, call, ordered[position:])
            call, kept = await _keep(tx, world, call, report, received_at, saved)
            recorded.append(kept)
            last = report.number
            if call.epoch != reports.epoch:
                break  # another agent will have it
        await queries.insert_line_events(tx, call.workspace_id, call.id, reports.epoch, recorded)
        if call.epoch == reports.epoch and last != call.last_report:
            await queries.change_call(tx, call.workspace_id, call.id, {"last_report": last})
    return ReportsAnswer(applied_through=last, wanted=wanted)


async def _keep(
    tx: Tx,
    world: World,
    call: LiveCall,
    report: Report,
    received_at: datetime,
    saved: Mapping[int, bool],
) -> tuple[LiveCall, LineEvent]:
    age_ms = min(max(report.age_ms, 0), _MOST_AGE_MS)
    at = received_at - timedelta(milliseconds=age_ms)
    moved = await _apply(tx, world, call, report, at, saved)
    verdict = _verdict(moved.decision)
    if verdict == "break":
        log.error(
            "protocol_break",
            conversation_id=call.id,
            epoch=call.epoch,
            report=report.number,
            type=report.type,
            status=call.status,
        )
    body = msgspec.json.encode(report).decode()
    return moved.call, LineEvent(report.number, report.type, body, verdict)


async def _apply(
    tx: Tx,
    world: World,
    call: LiveCall,
    report: Report,
    at: datetime,
    saved: Mapping[int, bool],
) -> Moved:
    match report.type:
        case "agent_ready":
            return await moves.move(tx, world, call, Fact.AGENT_READY, at=at)
        case "ringing":
            return await moves.move(tx, world, call, Fact.RINGING, at=at)
        case "answered":
            return await moves.move(tx, world, call, Fact.ANSWERED, at=at)
        case "turn":
            return Moved(call, await _turn(tx, call, report.turn, saved.get(report.number)))
        case "tool_call":
            return await _tool_call(tx, call, report.tool_call, at)
        case "ended":
            ending = _ending(call, report.ended)
            again = await _another_agent(tx, world, call, report.ended, ending, at)
            if again is not None:
                return Moved(again, _APPLIED)
            if not ending.has_recording and await recording_ends.is_expected(tx, call):
                ending = attrs.evolve(ending, is_recording_missing=True)
            if call.is_over and report.ended is not None and not report.ended.has_recording:
                call = await recording_ends.will_not_come(tx, call)
            return await moves.move(tx, world, call, Fact.ENDED, at=at, ending=ending)
        case _:
            assert_never(report.type)


async def _save_turns(tx: Tx, call: LiveCall, reports: Sequence[Report]) -> dict[int, bool]:
    """Stores the turns at the beginning of `reports`, up to what may change the call; by number, whether each was news.

    One that grew, or was cut where it was interrupted, replaces what was known of it.
    """
    numbers: dict[int, int] = {}  # of the report, by the turn's index
    turns: list[structs.Turn] = []
    for report, number in zip(reports, itertools.count(reports[0].number), strict=False):
        if report.number != number or report.type not in ("turn", "tool_call"):
            break
        if report.turn is None or not _is_tellable(call, report.turn):
            continue
        if report.turn.turn_index in numbers:
            break
        numbers[report.turn.turn_index] = number
        turns.append(turn_of(report.turn))
    bodies = [msgspec.json.encode(turn).decode() for turn in turns]
    news = await queries.save_turns(tx, call.workspace_id, call.id, turns, bodies)
    return {number: index in news for index, number in numbers.items()}


async def _turn(
    tx: Tx, call: LiveCall, report: TurnReport | None, is_news: bool | None
) -> Decision:
    """`is_news`: what storing it has shown; None where it was not stored."""
    if call.is_over:
        return _OLD
    if report is None or not _is_tellable(call, report):
        return _BREAK
    assert is_news is not None, "what can be told was stored before"
    if not is_news:
        return _OLD
    turn = turn_of(report)
    events.emit_turn(tx, call.workspace_id, call.id, call.simulated, turn)
    if call.handed_over_at is None:  # then it is said, or pressed, for somebody else
        await do_not_call.listen(tx, call, turn.role, turn.text, turn.dtmf)
    return _APPLIED


def _is_tellable(call: LiveCall, report: TurnReport) -> bool:
    return _is_talking(call) and not call.is_over and 0 <= report.turn_index < MOST_TURNS


async def _tool_call(tx: Tx, call: LiveCall, report: ToolCallReport | None, at: datetime) -> Moved:
    if call.is_over:
        return Moved(call, _OLD)
    if report is None or not _is_talking(call):
        return Moved(call, _BREAK)
    events.emit_tool_call(tx, call.workspace_id, call.id, call.simulated, _tool_call_of(report))
    if built_in_tools.is_handed_over(report) and call.handed_over_at is None:
        changes = {"handed_over_at": at}
        call = await queries.change_call(tx, call.workspace_id, call.id, changes)
    return Moved(call, _APPLIED)


def _ending(call: LiveCall, report: EndReport | None) -> Ending:
    if report is None:
        return Ending(HangupCode.AGENT_LOST, "The worker reported an end without saying why.")
    detail = None if report.detail is None else report.detail[:_MOST_DETAIL_CHARACTERS]
    code = _known(report.code)
    if not call.is_over and (code is None or lifecycle.code_in(call.status, code) is None):
        log.error(
            "impossible_end", conversation_id=call.id, code=report.code[:100], status=call.status
        )
        detail = f"The worker reported {report.code[:100]!r} of a call that was {call.status}."
        code = HangupCode.AGENT_LOST
    return Ending(
        code=code or HangupCode.AGENT_LOST,
        detail=detail,
        sip_status=report.sip_status if report.sip_status in _SIP_STATUSES else None,
        provider_code=None if report.provider_code is None else report.provider_code[:200],
        usage=report.usage[:100],
        has_recording=report.has_recording,
        is_message_left=report.is_message_left,
        virtual_ms=report.virtual_ms,
        is_reported=True,
    )


async def _another_agent(
    tx: Tx,
    world: World,
    call: LiveCall,
    report: EndReport | None,
    ending: Ending,
    at: datetime,
) -> LiveCall | None:
    """The call as it is then, where the end of an agent need not be the end of its call."""
    if report is None or call.is_over:
        return None
    code = _known(report.code)
    if code is HangupCode.AGENT_LOST and call.status is Status.QUEUED:
        # A worker that was started again tells of a call that it lost before it asked to dial.
        return await moves.give_back(tx, call) if call.dispatch_count < MOST_DISPATCHES else None
    if code is HangupCode.AGENT_LOST and report.is_line_open and rescuing.can_be_rescued(call):
        return await rescuing.rescue(tx, world, call, since=at)
    is_unsent = report.is_nothing_sent and code is HangupCode.MEDIA_UNAVAILABLE
    if is_unsent and call.is_in_room and call.status is Status.DIALING:
        return await moves.queue_again(tx, call, ending.detail or "The SIP service took no call.")
    return None


def _known(code: str) -> HangupCode | None:
    try:
        return HangupCode(code)
    except ValueError:
        return None


def _is_talking(call: LiveCall) -> bool:
    return call.status is Status.IN_PROGRESS


def _verdict(decision: Decision) -> str:
    match decision:
        case Move():
            return "applied"
        case OldNews():
            return "old_news"
        case lifecycle.Break():
            return "break"
        case _:
            assert_never(decision)


def turn_of(report: TurnReport) -> structs.Turn:
    """The turn as the contract has it."""
    return structs.Turn(
        index=report.turn_index,
        role=report.role,
        text=report.text,
        start_ms=report.start_ms,
        end_ms=report.end_ms,
        is_interrupted=report.is_interrupted,
        latency=None if report.latency is None else _latency_of(report.latency),
        tool_calls=[_tool_call_of(call) for call in report.tool_calls],
        dtmf=report.dtmf,
    )


def _latency_of(report: TurnLatency) -> structs.TurnLatency:
    return structs.TurnLatency(
        end_of_turn_ms=report.end_of_turn_ms,
        transcription_ms=report.transcription_ms,
        llm_first_token_ms=report.llm_first_token_ms,
        tts_first_audio_ms=report.tts_first_audio_ms,
        playback_ms=report.playback_ms,
        end_to_end_ms=report.end_to_end_ms,
    )


def _tool_call_of(report: ToolCallReport) -> structs.TurnToolCall:
    return structs.TurnToolCall(
        name=report.name,
        arguments=report.arguments,
        result=report.result,
        is_error=report.is_error,
        duration_ms=report.duration_ms,
    )
