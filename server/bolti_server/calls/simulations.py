"""The verdict on a call that a scenario of the user's was placed with.

Rule: it is not stored. It follows from the record, which does not change after the end, so it is judged when it is read, and
the end of a call does not depend on it (docs/decisions/0007).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from bolti_server.calls.queries import StoredConversation
from bolti_server.contract import structs
from bolti_server.simulated.scenarios import judging
from bolti_server.simulated.scenarios.judging import AgentTurn, Judged, Record, ToolCall
from bolti_server.simulated.scenarios.parsing import BrokenScenario, parse


def result_of(
    stored: StoredConversation, turns: Sequence[structs.Turn], script: str | None
) -> structs.SimulationResult | None:
    """None where the call had no script."""
    if script is None:
        return None
    try:
        scenario = parse(script)
    except BrokenScenario:  # it was whole for the version that took it
        return _result("", script, [], None)
    if stored.ended_at is None:
        return _result(scenario.name, script, judging.outlook(scenario), None)
    judged = judging.judge(scenario, _record(stored, turns))
    return _result(scenario.name, script, judged, judging.verdict(judged))


def _record(stored: StoredConversation, turns: Sequence[structs.Turn]) -> Record:
    assert stored.ended_at is not None, f"{stored.id} is not over"
    assert stored.hangup_code is not None, f"{stored.id} ended without a code"
    total_ms = None
    if stored.dialed_at is not None:
        total_ms = (stored.ended_at - stored.dialed_at) // timedelta(milliseconds=1)
    return Record(
        agent_turns=[_agent_turn(turn) for turn in turns if turn.role == "agent"],
        hangup_code=stored.hangup_code,
        is_answered=stored.answered_at is not None,
        total_ms=total_ms,
    )


def _agent_turn(turn: structs.Turn) -> AgentTurn:
    return AgentTurn(
        text=turn.text,
        is_interrupted=turn.is_interrupted,
        end_to_end_ms=None if turn.latency is None else turn.latency.end_to_end_ms,
        tool_calls=[ToolCall(call.name, call.arguments) for call in turn.tool_calls],
    )


def _result(
    name: str, script: str, judged: Sequence[Judged], verdict: str | None
) -> structs.SimulationResult:
    expectations = [
        structs.SimulationExpectation(
            kind=each.kind,
            line=each.line,
            expected=each.expected,
            is_met=each.is_met,
            detail=each.detail,
        )
        for each in judged
    ]
    return structs.SimulationResult(
        name=name, script=script, verdict=verdict, expectations=expectations
    )
