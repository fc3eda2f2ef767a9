"""What `bolti test` prints: a line for a scenario, and for a failed one what was said and heard next to what was expected.

    - what the scenario has, and the call did not
    + what there was instead

Colors only on a terminal, and never where NO_COLOR is set (no-color.org).
"""

from __future__ import annotations

import difflib
import os
import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

from bolti._answers import Conversation
from bolti._cli.scenario_files import Said
from bolti._models import SimulationExpectation, Turn

if TYPE_CHECKING:
    from bolti._cli.testing import Outcome

WIDTH = 100
_COLORS = {"green": "32", "red": "31", "yellow": "33", "dim": "2"}
_MARKS = {"passed": ("PASS", "green"), "failed": ("FAIL", "red"), "broken": ("BROKEN", "yellow")}
_WORDS = re.compile(r"\w+")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # what is heard must not steer a terminal


class Screen:
    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._has_colors = out.isatty() and not os.environ.get("NO_COLOR")

    def outcome(self, outcome: Outcome) -> None:
        mark, color = _MARKS[outcome.status]
        place = f"{outcome.path} {outcome.seconds:.1f} s" if outcome.seconds else f"{outcome.path}"
        self._print((color, f"{mark:<6}"), (None, f" {outcome.name}  "), ("dim", place))
        for problem in outcome.problems:
            self._print((None, f"       {problem}"))
        if outcome.status == "failed":
            for line in report(outcome):
                self._print((_color_of(line), f"       {line}"))
        elif outcome.conversation is not None:
            for each in _unjudged(outcome.conversation):
                told = f"       not judged, line {each.line}: {each.expected} {each.detail or ''}"
                self._print(("dim", told))

    def summary(self, outcomes: Sequence[Outcome], seconds: float) -> None:
        counts = Counter(outcome.status for outcome in outcomes)
        told = ", ".join(f"{counts[status]} {status}" for status in _MARKS if counts[status])
        self._print((None, f"{told or 'nothing to do'} in {seconds:.1f} s"))

    def _print(self, *parts: tuple[str | None, str]) -> None:
        """Pieces of a line, each with its color."""
        self._out.write("".join(self._in(color, text) for color, text in parts) + "\n")
        self._out.flush()

    def _in(self, color: str | None, text: str) -> str:
        text = _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)
        if color is None or not self._has_colors:
            return text
        return f"\x1b[{_COLORS[color]}m{text}\x1b[0m"


def report(outcome: Outcome) -> Iterator[str]:
    """The lines about a failed one: its call turn by turn, then its expectations."""
    conversation = outcome.conversation
    if conversation is None:
        return
    hangup = conversation.hangup
    yield f"{conversation.id}  {'not over' if hangup is None else hangup.code}"
    yield from _transcript(outcome, conversation)
    if conversation.simulation is not None:
        for each in conversation.simulation.expectations:
            yield from _expectation(each)


def _transcript(outcome: Outcome, conversation: Conversation) -> Iterator[str]:
    """Turns in order. Where the agent heard other words than the scenario has, both; and what was never heard."""
    said = [] if outcome.file is None else list(outcome.file.said)
    heard = [turn for turn in conversation.transcript if turn.role == "user" and turn.text]
    differences = difflib.SequenceMatcher(
        a=[_letters(each.text) for each in said],
        b=[_letters(turn.text) for turn in heard],
        autojunk=False,
    ).get_opcodes()
    before: dict[int, list[Said]] = {}  # by the number of the heard turn that comes after it
    for kind, start, end, heard_start, _ in differences:
        if kind in ("replace", "delete"):
            before[heard_start] = said[start:end]
    number = 0
    for turn in conversation.transcript:
        if turn.role == "user" and turn.text:
            yield from _unheard(before.pop(number, []))
            number += 1
        yield from _turn(turn)
    yield from _unheard(before.pop(number, []))


def _unheard(said: Sequence[Said]) -> Iterator[str]:
    for each in said:
        yield f"- line {each.line:<5} callee  {each.text}  (was not heard)"


def _turn(turn: Turn) -> Iterator[str]:
    who = "agent" if turn.role == "agent" else "callee"
    text = turn.text or (f"[keys {turn.dtmf}]" if turn.dtmf else "")
    cut = "  — interrupted" if turn.is_interrupted else ""
    head = f"  {turn.start_ms / 1000:6.1f} s  {who:<6}  "
    yield from textwrap.wrap(
        text + cut, WIDTH, initial_indent=head, subsequent_indent=" " * len(head)
    ) or [head.rstrip()]
    for call in turn.tool_calls:
        arguments = ", ".join(f"{name}: {value!r}" for name, value in call.arguments.items())
        yield f"{' ' * len(head)}→ {call.name}({arguments}){' failed' if call.is_error else ''}"


def _expectation(each: SimulationExpectation) -> Iterator[str]:
    if each.is_met:
        yield f"  line {each.line:<4} {each.expected}"
    elif each.is_met is None:
        yield f"? line {each.line:<4} {each.expected}"
        yield f"            {each.detail or 'Not judged.'}"
    else:
        yield f"- line {each.line:<4} {each.expected}"
        yield f"+           {each.detail or 'It was not so.'}"


def _unjudged(conversation: Conversation) -> list[SimulationExpectation]:
    result = conversation.simulation
    return [] if result is None else [each for each in result.expectations if each.is_met is None]


def _letters(text: str) -> str:
    return " ".join(_WORDS.findall(text.casefold()))


def _color_of(line: str) -> str | None:
    return {"-": "red", "+": "green", "?": "yellow"}.get(line[:1])
