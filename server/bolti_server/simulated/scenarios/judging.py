"""Whether a call did what its scenario expects: a pure function of the record.

Rules: the words are those that were heard (the record cuts what was interrupted). An expectation that the record has nothing
to judge by is neither met nor failed. `contains` and `regex` ignore case, all ways take any white space for one space.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import assert_never

import attrs

from bolti_server.simulated.scenarios.patterns import is_found
from bolti_server.simulated.scenarios.scenario import (
    AgentIsInterrupted,
    AgentSays,
    CallsTool,
    EndsWith,
    Expectation,
    Scenario,
    TotalUnder,
    TurnLatencyUnder,
    Words,
)

LONGEST_DETAIL = 500


@attrs.frozen
class ToolCall:
    name: str
    arguments: Mapping[str, object]


@attrs.frozen
class AgentTurn:
    """`end_to_end_ms` None: not measured."""

    text: str
    is_interrupted: bool = False
    end_to_end_ms: int | None = None
    tool_calls: Sequence[ToolCall] = ()


@attrs.frozen
class Record:
    """What a call left behind. `total_ms` is from the dial to the end; None where it was never dialed."""

    agent_turns: Sequence[AgentTurn]
    hangup_code: str
    is_answered: bool
    total_ms: int | None


@attrs.frozen
class Judged:
    """An expectation in words and what became of it; `is_met` None: there was nothing to judge by."""

    kind: str
    line: int
    expected: str
    is_met: bool | None = None
    detail: str | None = None


def outlook(scenario: Scenario) -> list[Judged]:
    """The expectations before the end of the call: none is judged yet."""
    return [_named(each) for each in scenario.expectations]


def judge(scenario: Scenario, record: Record) -> list[Judged]:
    """Every expectation, in the order of the scenario."""
    return [_judged(each, record) for each in scenario.expectations]


def verdict(judged: Sequence[Judged]) -> str | None:
    """ "passed" or "failed"; None where nothing could be judged."""
    if any(each.is_met is False for each in judged):
        return "failed"
    return "passed" if any(each.is_met for each in judged) else None


def _judged(expectation: Expectation, record: Record) -> Judged:
    is_met, detail = _look(expectation, record)
    if detail is not None and len(detail) > LONGEST_DETAIL:
        detail = detail[: LONGEST_DETAIL - 1] + "…"
    return attrs.evolve(_named(expectation), is_met=is_met, detail=None if is_met else detail)


def _look(expectation: Expectation, record: Record) -> tuple[bool | None, str | None]:
    """(whether it is met, what there was instead)."""
    match expectation:
        case AgentSays():
            return _says(expectation, record)
        case CallsTool():
            return _calls(expectation, record)
        case AgentIsInterrupted():
            if not record.is_answered:
                return None, "Nobody answered, so nobody was interrupted."
            cut = [turn.text for turn in record.agent_turns if turn.is_interrupted]
            there = f"It was cut after: {_quoted(cut)}" if cut else "It was never interrupted."
            return bool(cut) == expectation.is_wanted, there
        case EndsWith():
            return record.hangup_code == expectation.code, f"It ended with {record.hangup_code}."
        case TurnLatencyUnder():
            return _latency(expectation, record)
        case TotalUnder():
            if record.total_ms is None:
                return None, "It was never dialed."
            is_met = record.total_ms < 1000 * expectation.seconds
            return is_met, f"It took {record.total_ms / 1000:.1f} s."
        case _:
            assert_never(expectation)


def _says(expectation: AgentSays, record: Record) -> tuple[bool | None, str | None]:
    texts = [" ".join(turn.text.split()) for turn in record.agent_turns if turn.text.strip()]
    if not record.is_answered and not expectation.is_wanted:
        return None, "Nobody answered, so the agent said nothing."
    said = [text for text in texts if _is_in(expectation.words, text)]
    if not said and expectation.words.how != "exact" and _is_in(expectation.words, " ".join(texts)):
        said = texts  # over the end of a turn
    if expectation.is_wanted:
        return bool(said), f"It said: {_quoted(texts)}" if texts else "It said nothing."
    return not said, f"It said: {_quoted(said)}"


def _is_in(words: Words, text: str) -> bool:
    match words.how:
        case "exact":
            return words.text == text
        case "contains":
            return words.text.casefold() in text.casefold()
        case "regex":
            return is_found(words.text, text)


def _calls(expectation: CallsTool, record: Record) -> tuple[bool | None, str | None]:
    if not record.is_answered and not expectation.is_wanted:
        return None, "Nobody answered, so the agent called nothing."
    made = [call for turn in record.agent_turns for call in turn.tool_calls]
    fitting = [call for call in made if _fits(expectation, call)]
    there = ", ".join(_called(call) for call in made)
    if expectation.is_wanted:
        return bool(fitting), f"It called: {there}" if made else "It called no tool."
    return not fitting, f"It called: {', '.join(_called(call) for call in fitting)}"


def _fits(expectation: CallsTool, call: ToolCall) -> bool:
    if call.name != expectation.name:
        return False
    wanted = expectation.arguments or {}
    return all(name in call.arguments and call.arguments[name] == wanted[name] for name in wanted)


def _latency(expectation: TurnLatencyUnder, record: Record) -> tuple[bool | None, str | None]:
    measured = [turn for turn in record.agent_turns if turn.end_to_end_ms is not None]
    if not measured:
        return None, "No turn of the agent was measured."
    slow = [turn for turn in measured if (turn.end_to_end_ms or 0) >= expectation.ms]
    told = ", ".join(f"{turn.end_to_end_ms} ms ({_quoted([turn.text])})" for turn in slow)
    return not slow, f"Slower: {told}"


def _named(expectation: Expectation) -> Judged:
    """Kind, line and the expectation in words."""
    line = expectation.line
    match expectation:
        case AgentSays(words=words, is_wanted=is_wanted):
            kind = "agent_says" if is_wanted else "agent_does_not_say"
            said = "says" if is_wanted else "does not say"
            way = {
                "exact": f"{said} exactly",
                "contains": f"{said} anything with",
                "regex": f"{said} anything that matches",
            }[words.how]
            if is_wanted:
                way = way.replace("anything", "something")
            return Judged(kind, line, f"The agent {way} {_quoted([words.text])}.")
        case CallsTool():
            what = _called(ToolCall(expectation.name, expectation.arguments or {}))
            if expectation.is_wanted:
                return Judged("calls_tool", line, f"The agent calls {what}.")
            return Judged("does_not_call_tool", line, f"The agent does not call {what}.")
        case AgentIsInterrupted(is_wanted=is_wanted):
            how = "is" if is_wanted else "is not"
            return Judged("agent_is_interrupted", line, f"The agent {how} interrupted.")
        case EndsWith():
            return Judged("ends_with", line, f"The call ends with {expectation.code}.")
        case TurnLatencyUnder():
            expected = f"Every turn comes in less than {expectation.ms} ms."
            return Judged("turn_latency_under_ms", line, expected)
        case TotalUnder():
            expected = f"The call takes less than {expectation.seconds} s."
            return Judged("total_under_seconds", line, expected)
        case _:
            assert_never(expectation)


def _called(call: ToolCall) -> str:
    if not call.arguments:
        return call.name
    return (
        f"{call.name}({', '.join(f'{name}: {value!r}' for name, value in call.arguments.items())})"
    )


def _quoted(texts: Sequence[str]) -> str:
    return ", ".join(f'"{text}"' for text in texts)
