"""Each expectation is seen met and seen not met, with what was there instead."""

from __future__ import annotations

import attrs
import pytest

from bolti_server.simulated.scenarios.judging import (
    LONGEST_DETAIL,
    AgentTurn,
    Judged,
    Record,
    ToolCall,
    judge,
    outlook,
    verdict,
)
from bolti_server.simulated.scenarios.parsing import parse

TALK = Record(
    agent_turns=[
        AgentTurn("Hello Priya, this is  Asha.", is_interrupted=True),
        AgentTurn(
            "Tomorrow at ten.",
            end_to_end_ms=640,
            tool_calls=[ToolCall("book", {"day": "tomorrow", "places": 2, "seat": {"row": 1}})],
        ),
        AgentTurn("Goodbye!", end_to_end_ms=910, tool_calls=[ToolCall("cut_call", {})]),
    ],
    hangup_code="agent_hangup",
    is_answered=True,
    total_ms=12_300,
)
SMOOTH = attrs.evolve(TALK, agent_turns=[AgentTurn("Hello.")])
UNANSWERED = Record([], "busy", is_answered=False, total_ms=900)


def judged(expectation: str, record: Record = TALK) -> Judged:
    scenario = parse(f"name: x\ncallee: [answer]\nexpect:\n  - {expectation}\n")
    (found,) = judge(scenario, record)
    (before,) = outlook(scenario)
    assert (before.kind, before.line, before.expected) == (found.kind, 4, found.expected)
    assert before.is_met is None
    return found


@pytest.mark.parametrize(
    "expectation",
    [
        'agent_says: {exact: "Hello Priya, this is Asha."}',
        'agent_says: {exact: "Hello  Priya, this is Asha."}',
        "agent_says: {contains: TOMORROW}",
        'agent_says: {contains: "ten. goodbye"}',  # over the end of a turn
        'agent_says: {regex: "at (ten|eleven)"}',
        "agent_does_not_say: {exact: Hello}",
        "agent_does_not_say: {contains: Ravi}",
        'agent_does_not_say: {regex: "root|canal"}',
        "calls_tool: cut_call",
        "calls_tool: {name: book}",
        "calls_tool: {name: book, arguments: {day: tomorrow}}",
        "calls_tool: {name: book, arguments: {places: 2, seat: {row: 1}}}",
        "does_not_call_tool: transfer_call",
        "agent_is_interrupted: true",
        "ends_with: agent_hangup",
        "turn_latency_under_ms: 911",
        "total_under_seconds: 13",
    ],
)
def test_an_expectation_is_met(expectation: str) -> None:
    found = judged(expectation)
    assert (found.is_met, found.detail) == (True, None)


@pytest.mark.parametrize(
    ("expectation", "expected", "detail"),
    [
        (
            "agent_says: {exact: Hello}",
            'The agent says exactly "Hello".',
            'It said: "Hello Priya, this is Asha.", "Tomorrow at ten.", "Goodbye!"',
        ),
        (
            "agent_says: {contains: Ravi}",
            'The agent says something with "Ravi".',
            'It said: "Hello Priya, this is Asha.", "Tomorrow at ten.", "Goodbye!"',
        ),
        (
            "agent_says: {regex: ^ten}",
            'The agent says something that matches "^ten".',
            'It said: "Hello Priya, this is Asha.", "Tomorrow at ten.", "Goodbye!"',
        ),
        (
            "agent_does_not_say: {exact: Goodbye!}",
            'The agent does not say exactly "Goodbye!".',
            'It said: "Goodbye!"',
        ),
        (
            "agent_does_not_say: {contains: priya}",
            'The agent does not say anything with "priya".',
            'It said: "Hello Priya, this is Asha."',
        ),
        (
            "agent_does_not_say: {regex: ten|eleven}",
            'The agent does not say anything that matches "ten|eleven".',
            'It said: "Tomorrow at ten."',
        ),
        (
            "calls_tool: transfer_call",
            "The agent calls transfer_call.",
            "It called: book(day: 'tomorrow', places: 2, seat: {'row': 1}), cut_call",
        ),
        (
            "calls_tool: {name: book, arguments: {day: today}}",
            "The agent calls book(day: 'today').",
            "It called: book(day: 'tomorrow', places: 2, seat: {'row': 1}), cut_call",
        ),
        ("does_not_call_tool: cut_call", "The agent does not call cut_call.", "It called: cut_call"),
        (
            "agent_is_interrupted: false",
            "The agent is not interrupted.",
            'It was cut after: "Hello Priya, this is  Asha."',
        ),
        ("ends_with: remote_hangup", "The call ends with remote_hangup.", "It ended with agent_hangup."),
        (
            "turn_latency_under_ms: 910",
            "Every turn comes in less than 910 ms.",
            'Slower: 910 ms ("Goodbye!")',
        ),
        ("total_under_seconds: 12", "The call takes less than 12 s.", "It took 12.3 s."),
    ],
)  # fmt: skip
def test_an_expectation_is_not_met_and_says_what_there_was(
    expectation: str, expected: str, detail: str
) -> None:
    found = judged(expectation)
    assert (found.is_met, found.expected, found.detail) == (False, expected, detail)


def test_an_agent_that_was_never_interrupted() -> None:
    found = judged("agent_is_interrupted: true", SMOOTH)
    assert (found.is_met, found.detail) == (False, "It was never interrupted.")
    assert judged("agent_is_interrupted: false", SMOOTH).is_met


def test_an_agent_that_said_and_called_nothing() -> None:
    assert judged("agent_says: {contains: x}", UNANSWERED).detail == "It said nothing."
    assert judged("calls_tool: x", UNANSWERED).detail == "It called no tool."


@pytest.mark.parametrize(
    ("expectation", "record"),
    [
        ("agent_does_not_say: {contains: x}", UNANSWERED),
        ("does_not_call_tool: x", UNANSWERED),
        ("agent_is_interrupted: false", UNANSWERED),
        ("turn_latency_under_ms: 500", UNANSWERED),
        ("turn_latency_under_ms: 500", SMOOTH),
        ("total_under_seconds: 5", attrs.evolve(UNANSWERED, total_ms=None)),
    ],
)
def test_what_the_record_has_nothing_to_judge_by_is_neither_met_nor_failed(
    expectation: str, record: Record
) -> None:
    found = judged(expectation, record)
    assert found.is_met is None
    assert found.detail


def test_the_verdict() -> None:
    met, failed, unknown = (Judged("x", 1, "x", is_met) for is_met in (True, False, None))
    assert verdict([met, unknown]) == "passed"
    assert verdict([met, failed]) == "failed"
    assert verdict([unknown]) is None
    assert verdict([]) is None


def test_a_detail_is_not_longer_than_people_read() -> None:
    record = attrs.evolve(TALK, agent_turns=[AgentTurn("so " * 1000)])
    detail = judged("agent_says: {contains: never}", record).detail
    assert detail is not None
    assert len(detail) == LONGEST_DETAIL
