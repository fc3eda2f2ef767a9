"""Scenarios are read strictly: everything that is wrong is told at once, with line and column, in plain words."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bolti_server.simulated.scenarios import scenario as limits
from bolti_server.simulated.scenarios.parsing import BrokenScenario, parse
from bolti_server.simulated.scenarios.reading import MOST_COMPLAINTS
from bolti_server.simulated.scenarios.scenario import (
    AgentSays,
    CallsTool,
    EndsWith,
    Failure,
    Step,
    Words,
)

WHOLE = """\
name: Booking
description: A whole appointment.
agent: {first_message: Hi, llm: {provider: simulated}}
variable_values: {name: Priya, visits: 3, is_new: true, answer: no}
callee:
  - ring: 500
  - answer
  - wait_for_agent
  - wait_for_agent: 4000
  - wait_for_voice: 1500
  - say: yes
  - press: 12#
  - wait_for_keys
  - noise: {level: 0.03, ms: 200}
  - noise: 0
  - silence: 100
  - wait: 30
  - beep
  - wait_for_hang_up
  - hang_up
expect:
  - agent_says: {contains: "tomorrow  at ten"}
  - agent_does_not_say: {regex: "Ravi|root canal"}
  - calls_tool: {name: book, arguments: {day: 2026-11-25, places: 2}}
  - ends_with: remote_hangup
"""


def complaints(text: str) -> list[str]:
    with pytest.raises(BrokenScenario) as caught:
        parse(text)
    return [str(each) for each in caught.value.complaints]


def callee(*steps: str) -> str:
    return "name: x\ncallee:\n" + "".join(f"  - {step}\n" for step in steps)


def expect(*expectations: str) -> str:
    return callee("answer") + "expect:\n" + "".join(f"  - {each}\n" for each in expectations)


def test_a_whole_scenario_is_read_as_it_is_written() -> None:
    scenario = parse(WHOLE)
    assert (scenario.name, scenario.ring_ms, scenario.failure) == ("Booking", 500, None)
    assert scenario.variable_values == {
        "name": "Priya",
        "visits": 3,
        "is_new": True,
        "answer": "no",
    }
    assert scenario.agent == {"first_message": "Hi", "llm": {"provider": "simulated"}}
    assert scenario.steps == (
        Step("wait_for_agent", 8, ms=10_000),
        Step("wait_for_agent", 9, ms=4000),
        Step("wait_for_voice", 10, ms=1500),
        Step("say", 11, text="yes"),
        Step("press", 12, text="12#"),
        Step("wait_for_keys", 13, ms=10_000),
        Step("noise", 14, ms=200, level=0.03),
        Step("noise", 15, level=0.0),
        Step("silence", 16, ms=100),
        Step("wait", 17, ms=30),
        Step("beep", 18, ms=500),
        Step("wait_for_hang_up", 19, ms=10_000),
        Step("hang_up", 20),
    )
    assert scenario.expectations == (
        AgentSays(22, Words("contains", "tomorrow at ten")),
        AgentSays(23, Words("regex", "Ravi|root canal"), is_wanted=False),
        CallsTool(24, "book", {"day": "2026-11-25", "places": 2}),
        EndsWith(25, "remote_hangup"),
    )


@pytest.mark.parametrize(
    ("steps", "ring_ms", "failure"),
    [
        (["answer"], 300, None),
        (["busy"], 0, Failure("busy", 486)),
        (["ring: 900", "busy"], 900, Failure("busy", 486)),
        (["decline"], 300, Failure("declined", 603)),
        (["no_answer"], None, None),
        (["fail: provider_unavailable"], 0, Failure("provider_unavailable", 503)),
        (["ring: 10", "fail: outcome_unknown"], 10, Failure("outcome_unknown", None)),
    ],
)
def test_what_comes_of_the_call(
    steps: list[str], ring_ms: int | None, failure: Failure | None
) -> None:
    scenario = parse(callee(*steps))
    assert (scenario.ring_ms, scenario.failure) == (ring_ms, failure)


def test_everything_that_is_wrong_is_told_at_once_in_the_order_of_the_text() -> None:
    text = """\
nam: Booking
callee:
  - ring: 1.5
  - answr
  - say: ""
  - press: x y
  - noise: {level: 7, m: 100}
  - hang_up
  - say: more
expect:
  - agent_says: tomorrow
  - calls_tool: {nam: cut_call, arguments: [1]}
  - ends_with: hangup
  - turn_latency_under_ms: -1
"""
    assert complaints(text) == [
        "line 1, column 1: A scenario has no 'nam'. Did you mean name?",
        "line 1, column 1: A scenario needs name.",
        "line 3, column 11: ring is a whole number of milliseconds, 0 to 120000, not '1.5'.",
        "line 4, column 5: A callee has no step 'answr'. Did you mean answer?",
        "line 5, column 10: say is empty.",
        "line 6, column 12: Keys are 0-9, *, #, A-D, and w for a pause, without spaces.",
        "line 7, column 20: level is a number, 0 to 1, not '7'.",
        "line 7, column 23: noise has no 'm'. Did you mean ms?",
        "line 9, column 5: The callee has hung up: nothing can come after it.",
        "line 11, column 17: Write agent_says: {contains: …}, {exact: …} or {regex: …}. "
        "This is the value 'tomorrow'.",
        "line 12, column 17: calls_tool needs name.",
        "line 12, column 18: calls_tool has no 'nam'. Did you mean name?",
        "line 12, column 44: arguments has members (name: value). This is a list.",
        "line 13, column 16: There is no hangup code 'hangup'. Did you mean agent_hangup?",
        "line 14, column 28: turn_latency_under_ms is a whole number of milliseconds, 1 to 60000, not '-1'.",
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "line 1, column 1: There is nothing here: a scenario needs name and callee."),
        ("# nothing\n", "line 1, column 1: There is nothing here: a scenario needs name and callee."),
        ("- a\n", "line 1, column 1: A scenario has members: name, description, agent, "),
        ("name: x\n", "line 1, column 1: A scenario needs callee."),
        ("name: x\nname: y\ncallee: [answer]\n", "line 2, column 1: name is here twice."),
        ("name: &a x\ncallee: [answer]\n", "line 1, column 7: No anchors and aliases"),
        ("name: x\ncallee: *a\n", "line 2, column 9: No anchors and aliases"),
        ("name: !!python/name:os.system x\n", "line 1, column 7: No tags (!)"),
        ("--- {name: x}\n--- {name: y}\n", "line 2, column 1: One scenario to a text"),
        ("[" * 40, "line 1, column 18: Nested deeper than 16 levels."),
        ("name: a: b\n", "line 1, column 8: This is not YAML: mapping values are not allowed here. A text"),
        ("\tname: x\n", "line 1, column 1: This is not YAML: found character '\\t' "),
        ("a: {b: Is it?}\n", "line 1, column 13: This is not YAML: expected ',' or '}', but got '?'. Inside"),
        ("name: x\ncallee:\n  - answer\n - say: x\n", "line 4, column 2: This is not YAML: "),
        ("name: \x07\n", "line 1, column 7: A character that YAML does not have: U+0007."),
        ("name: x\nagent: 3\ncallee: [answer]\n", "line 2, column 8: agent has members"),
        ("name: x\nagent: {a: {b: 1, b: 2}}\ncallee: [answer]\n", "line 2, column 19: 'b' is here twice."),
        ("name: x\nvariable_values: [1]\ncallee: [answer]\n", "line 2, column 18: variable_values has members"),
        ("name: x\nvariable_values: {a: [1]}\ncallee: [answer]\n", "line 2, column 22: The variable a is"),
        ("name: x\ncallee: answer\n", "line 2, column 9: callee is a list"),
        ("name: x\ncallee: []\n", "line 2, column 9: Before anything else, say what comes of the call"),
        (callee("say: hello"), "line 3, column 5: Before anything else, say what comes of the call"),
        (callee("ring: 10"), "line 3, column 3: Before anything else"),
        (callee("ring", "answer"), "line 3, column 5: ring needs its milliseconds, e.g. ring: 500."),
        (callee("busy", "say: x"), "line 4, column 5: Nobody answered (busy): nothing can come after it."),
        (callee("ring: 1", "no_answer"), "line 4, column 5: no_answer rings until the caller gives up"),
        (callee("answer", "ring: 5"), "line 4, column 5: ring comes first, and once."),
        (callee("answer", "busy"), "line 4, column 5: busy comes first, and once."),
        (callee("answer: now"), "line 3, column 13: answer stands alone, without a value."),
        (callee("fail: 503"), "line 3, column 11: There is no failure '503'. There is: invalid_number"),
        (callee("answer", "wait: soon"), "line 4, column 11: wait is a whole number of milliseconds"),
        (callee("answer", "wait: true"), "line 4, column 11: wait is a whole number of milliseconds"),
        (callee("answer", "say: {a: b}"), "line 4, column 10: say is a text. This is a mapping"),
        (callee("answer", "say: ~"), "line 4, column 10: say is empty."),
        (callee("answer", "[say]"), "line 4, column 5: A step is a name, or a name and a value."),
        (callee("answer", "{wait: 1, say: x}"), "line 4, column 5: One step to a line"),
        (callee("answer", "noise: loud"), "line 4, column 12: noise is a number, 0 to 1, not 'loud'."),
        (callee("answer", "noise: {ms: 5}"), "line 4, column 12: noise needs level."),
        (expect("ends_with"), "line 5, column 5: An expectation is one name and its value"),
        (expect("says: x"), "line 5, column 5: There is no expectation 'says'. Did you mean agent_says?"),
        (expect("agent_says: {}"), "line 5, column 17: agent_says takes one of exact, contains, regex."),
        (expect("agent_says: {exact: a, regex: b}"), "line 5, column 17: agent_says takes one of"),
        (expect("agent_says: {regex: '(a'}"), "line 5, column 25: Not a regular expression that can be used here: "),
        (expect("agent_says: {regex: '(?=a)'}"), "line 5, column 25: Not a regular expression"),
        (expect("agent_is_interrupted: maybe"), "line 5, column 27: agent_is_interrupted is true or false"),
        (expect("total_under_seconds: 0"), "line 5, column 26: total_under_seconds is a whole number of seconds"),
    ],
)  # fmt: skip
def test_a_broken_scenario_is_told_where_and_why(text: str, complaint: str) -> None:
    assert complaints(text)[0].startswith(complaint)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("#" * (limits.LONGEST_SCRIPT + 1), "A scenario may have at most 16384 characters; this has"),
        (callee("answer", *["beep"] * limits.MOST_STEPS), "callee may have at most 100 entries."),
        (expect(*["ends_with: busy"] * 51), "expect may have at most 50 entries."),
        (callee("answer", "say: " + "x" * 501), "say may have at most 500 characters; it has 501."),
        (callee("answer", "press: " + "'" + "1" * 33 + "'"), "press may have at most 32 characters"),
        (callee("answer", "wait: 120001"), "wait is a whole number of milliseconds, 0 to 120000"),
        (callee("ring: 120001", "answer"), "ring is a whole number of milliseconds, 0 to 120000"),
        (callee("answer", "beep: 5001"), "beep is a whole number of milliseconds, 0 to 5000"),
        ("name: " + "x" * 101 + "\ncallee: [answer]", "name may have at most 100 characters"),
        (expect("agent_says: {regex: " + "x" * 501 + "}"), "regex may have at most 500 characters"),
        (expect("calls_tool: " + "x" * 256), "calls_tool may have at most 255 characters"),
        (callee("answer") + f"variable_values: {{{', '.join(f'v{n}: 1' for n in range(101))}}}", "At most 100 variables."),
    ],
)  # fmt: skip
def test_there_is_a_limit_on_everything(text: str, complaint: str) -> None:
    assert complaint in complaints(text)[0]


def test_no_more_complaints_than_people_read() -> None:
    assert len(complaints("name: x\ncallee: [" + "{a: 1, b: 2}, " * 100 + "]\nexpect: [" + "x, " * 50 + "]")) == (
        MOST_COMPLAINTS
    )  # fmt: skip


PIECES = st.sampled_from(
    ["name", "callee", "expect", "say", "answer", ":", "- ", "\n", "  ", "{", "}", "[", "]", ",", "'", '"', "#", "|", ">",
     "&a", "*a", "!", "? ", "---", "1", "ring", "\t", "é", "\x85", "\ufeff", "agent_says", "regex", "("]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=40).map("".join)))
def test_any_text_is_a_scenario_or_broken_and_nothing_else(text: str) -> None:
    try:
        parse(text)
    except BrokenScenario as broken:
        lines = sum(text.count(each) for each in ("\n", "\r", "\x85", "\u2028", "\u2029")) + 1
        for each in broken.complaints:
            assert 1 <= each.line <= lines + 1
            assert each.column >= 1
            assert each.detail


@pytest.mark.parametrize(
    "text",
    [
        "[" * limits.LONGEST_SCRIPT,
        "{a: " * (limits.LONGEST_SCRIPT // 4),
        "- " * (limits.LONGEST_SCRIPT // 2),
        "name: '" + "x\n" * 8000 + "'",
        callee("answer", *["say: " + "x " * 70] * 90),
        expect("agent_says: {regex: '" + "(a*)*" * 99 + "'}"),
    ],
)
def test_no_text_takes_long(text: str) -> None:
    began = time.perf_counter()
    with contextlib.suppress(BrokenScenario):
        parse(text[: limits.LONGEST_SCRIPT])
    assert time.perf_counter() - began < 2
