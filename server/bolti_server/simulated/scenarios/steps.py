"""Reading `callee:`: what happens until somebody picks up, and what that somebody does then.

The order is part of the rules: an optional `ring`, then exactly one of `answer`, `busy`, `decline`, `no_answer`, `fail`;
only after `answer` come the steps of the talk, and nothing after `hang_up`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from bolti_server.simulated.scenarios.nodes import Items, Members, Node, Place, Scalar
from bolti_server.simulated.scenarios.reading import Reader, unknown
from bolti_server.simulated.scenarios.scenario import (
    FAILURES,
    LONGEST_BEEP_MS,
    LONGEST_RING_MS,
    LONGEST_WAIT_MS,
    LONGEST_WORDS,
    MOST_KEYS,
    MOST_STEPS,
    PATIENCE_MS,
    Failure,
    Step,
    Verb,
)

DEFAULT_RING_MS = 300
DEFAULT_BEEP_MS = 500
KEYS = "0123456789*#ABCDwW"
OUTCOMES = ("answer", "busy", "decline", "no_answer", "fail")
_ALONE = {"answer", "busy", "decline", "no_answer", "hang_up"}


@attrs.frozen
class Course:
    """What `callee:` says; see scenario.Scenario."""

    ring_ms: int | None
    failure: Failure | None
    steps: tuple[Step, ...]


def read_callee(reader: Reader, node: Node) -> Course:
    named = [_named(reader, each) for each in reader.items(node, "callee", MOST_STEPS)]
    entries = [each for each in named if each is not None]
    ring_ms: int | None = DEFAULT_RING_MS
    has_rung = False
    if entries and entries[0].name == "ring":
        has_rung = True
        ring_ms = _ms(reader, entries.pop(0), LONGEST_RING_MS)
    if not entries or entries[0].name not in OUTCOMES:
        at = entries[0].place if entries else node.place
        if None not in named:  # else the one that is missing may be the one that could not be read
            detail = f"Before anything else, say what comes of the call: {', '.join(OUTCOMES)}."
            reader.complain(at, detail)
        return Course(ring_ms, None, _talk(reader, entries))
    outcome = entries.pop(0)
    if outcome.name == "answer":
        return Course(ring_ms, None, _talk(reader, entries))
    for entry in entries[:1]:
        reader.complain(
            entry.place, f"Nobody answered ({outcome.name}): nothing can come after it."
        )
    return _unanswered(reader, outcome, ring_ms, has_rung=has_rung)


@attrs.frozen
class _Named:
    place: Place
    name: str
    value: Node | None  # None: the name stands alone


def _named(reader: Reader, node: Node) -> _Named | None:
    """One entry of the list: a name alone, or a name with a value. A name that is none is told."""
    if isinstance(node, Scalar):
        entry = _Named(node.place, node.text.strip(), None)
    elif isinstance(node, Members) and len(node.members) == 1:
        key, value = node.members[0]
        entry = _Named(key.place, key.text, value)
    elif isinstance(node, Items):
        reader.complain(node, "A step is a name, or a name and a value. This is a list.")
        return None
    else:
        reader.complain(node, "One step to a line that begins with -. This has several.")
        return None
    if entry.name not in NAMES:
        reader.complain(entry.place, unknown(entry.name, NAMES, "A callee has no step"))
        return None
    if entry.name in _ALONE and entry.value is not None and not _is_nothing(entry.value):
        reader.complain(entry.value, f"{entry.name} stands alone, without a value.")
    return entry


def _is_nothing(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None


def _unanswered(reader: Reader, outcome: _Named, ring_ms: int | None, *, has_rung: bool) -> Course:
    match outcome.name:
        case "no_answer":
            if has_rung:
                reader.complain(
                    outcome.place, "no_answer rings until the caller gives up: take ring out."
                )
            return Course(None, None, ())
        case "busy":
            return Course(ring_ms if has_rung else 0, Failure("busy", 486), ())
        case "decline":
            return Course(ring_ms, Failure("declined", 603), ())
        case _:
            code = reader.one_of(_value(outcome), "failure", FAILURES)
            failure = None if code is None else Failure(code, FAILURES[code])
            return Course(ring_ms if has_rung else 0, failure, ())


def _talk(reader: Reader, entries: list[_Named]) -> tuple[Step, ...]:
    steps: list[Step] = []
    has_hung_up = False
    for entry in entries:
        if entry.name in OUTCOMES or entry.name == "ring":
            reader.complain(entry.place, f"{entry.name} comes first, and once.")
            continue
        if has_hung_up:
            reader.complain(entry.place, "The callee has hung up: nothing can come after it.")
            break
        has_hung_up = entry.name == "hang_up"
        step = _READERS[entry.name](reader, entry)
        if step is not None:
            steps.append(step)
    return tuple(steps)


def _ms(reader: Reader, entry: _Named, most: int, default: int | None = None) -> int | None:
    node = _value(entry)
    if not _is_nothing(node):
        return reader.whole(node, entry.name, 0, most, "milliseconds")
    if default is None:
        reader.complain(node, f"{entry.name} needs its milliseconds, e.g. {entry.name}: 500.")
    return default


def _timed(
    verb: Verb, most: int, default: int | None = None
) -> Callable[[Reader, _Named], Step | None]:
    def read(reader: Reader, entry: _Named) -> Step | None:
        ms = _ms(reader, entry, most, default)
        return None if ms is None else Step(verb, entry.place.line, ms=ms)

    return read


def _say(reader: Reader, entry: _Named) -> Step | None:
    text = reader.text(_value(entry), "say", LONGEST_WORDS)
    return None if text is None else Step("say", entry.place.line, text=" ".join(text.split()))


def _press(reader: Reader, entry: _Named) -> Step | None:
    node = _value(entry)
    keys = reader.text(node, "press", MOST_KEYS)
    if keys is None:
        return None
    if not set(keys) <= set(KEYS):
        reader.complain(node, "Keys are 0-9, *, #, A-D, and w for a pause, without spaces.")
        return None
    return Step("press", entry.place.line, text=keys)


def _noise(reader: Reader, entry: _Named) -> Step | None:
    node = _value(entry)
    if not isinstance(node, Members):
        level = reader.number(node, "noise", 0, 1)
        return None if level is None else Step("noise", entry.place.line, level=level)
    members = reader.members(node, "noise", ("level", "ms"), required=("level",))
    level = reader.number(members["level"], "level", 0, 1) if "level" in members else None
    ms = None
    if "ms" in members:
        ms = reader.whole(members["ms"], "ms", 1, LONGEST_WAIT_MS, "milliseconds")
    return None if level is None else Step("noise", entry.place.line, ms=ms, level=level)


def _hang_up(_reader: Reader, entry: _Named) -> Step:
    return Step("hang_up", entry.place.line)


def _value(entry: _Named) -> Node:
    return entry.value or Scalar(entry.place, "", None)


_READERS: Mapping[str, Callable[[Reader, _Named], Step | None]] = {
    "wait_for_agent": _timed("wait_for_agent", LONGEST_WAIT_MS, PATIENCE_MS),
    "wait_for_voice": _timed("wait_for_voice", LONGEST_WAIT_MS),
    "wait_for_keys": _timed("wait_for_keys", LONGEST_WAIT_MS, PATIENCE_MS),
    "wait_for_hang_up": _timed("wait_for_hang_up", LONGEST_WAIT_MS, PATIENCE_MS),
    "wait": _timed("wait", LONGEST_WAIT_MS),
    "say": _say,
    "press": _press,
    "noise": _noise,
    "silence": _timed("silence", LONGEST_WAIT_MS),
    "beep": _timed("beep", LONGEST_BEEP_MS, DEFAULT_BEEP_MS),
    "hang_up": _hang_up,
}
NAMES = ("ring", *OUTCOMES, *_READERS)
