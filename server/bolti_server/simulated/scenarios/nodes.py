"""YAML as a tree that remembers where everything stands, read from PyYAML's events.

Rules: what JSON can say and no more: no anchors and aliases (a small text could stand for a huge one), no tags, no second
document, bounded nesting. Plain `yes`, `no`, `on`, `0123` and dates are texts, not what YAML 1.1 makes of them: only true,
false, null and decimal numbers mean something else than what is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs
import yaml

from bolti_server.simulated.scenarios.scenario import DEEPEST_NESTING

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})\.[0-9]{1,18}")
_NULLS = ("", "~", "null", "Null", "NULL")
_BOOLEANS = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}


@attrs.frozen
class Complaint:
    """Something that is wrong with a scenario, in plain words; line and column count from 1."""

    line: int
    column: int
    detail: str

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.detail}"


class NotReadable(Exception):
    """The text is no YAML, or more of it than is taken here."""

    def __init__(self, complaint: Complaint) -> None:
        super().__init__(str(complaint))
        self.complaint = complaint


@attrs.frozen
class Place:
    line: int
    column: int


@attrs.frozen
class Scalar:
    """`text` is what is written (unquoted), `value` what it means: text, int, float, bool or None."""

    place: Place
    text: str
    value: str | int | float | bool | None


@attrs.frozen
class Items:
    place: Place
    items: tuple[Node, ...]


@attrs.frozen
class Members:
    """Keys come with their own places, in the order of the text; one that comes twice is here twice."""

    place: Place
    members: tuple[tuple[Scalar, Node], ...]


Node = Scalar | Items | Members


def node_of(text: str) -> Node | None:
    """The tree of the text's one document; None where it is empty. Raises NotReadable."""
    events = _Events(text)
    if not events.skip(yaml.DocumentStartEvent):
        return None
    root = _node(events, 0)
    events.skip(yaml.DocumentEndEvent)
    if not isinstance(events.current, yaml.StreamEndEvent):
        raise _refused(events.current, "One scenario to a text: take out what begins with ---.")
    return root


def plain(node: Node) -> object:
    """What the node says as JSON would: dict, list, text, number, bool, None. Of a key that comes twice, the last."""
    match node:
        case Scalar():
            return node.value
        case Items():
            return [plain(each) for each in node.items]
        case Members():
            return {key.text: plain(value) for key, value in node.members}


class _Events:
    def __init__(self, text: str) -> None:
        self._text = text
        self._events: Iterator[yaml.Event] = iter(yaml.parse(text, Loader=yaml.SafeLoader))
        self.current: yaml.Event = yaml.Event()
        self.next()
        self.skip(yaml.StreamStartEvent)

    def next(self) -> yaml.Event:
        """The current event; from then on the one after it is."""
        before = self.current
        try:
            self.current = next(self._events)
        except StopIteration:
            self.current = yaml.StreamEndEvent()
        except yaml.MarkedYAMLError as error:
            raise NotReadable(_syntax(error)) from error
        except yaml.reader.ReaderError as error:
            before_it = self._text[: error.position]
            column = len(before_it) - (before_it.rfind("\n") + 1) + 1
            detail = (
                f"A character that YAML does not have: U+{ord(self._text[error.position]):04X}."
            )
            raise NotReadable(Complaint(before_it.count("\n") + 1, column, detail)) from error
        return before

    def skip(self, kind: type[yaml.Event]) -> bool:
        if not isinstance(self.current, kind):
            return False
        self.next()
        return True


def _node(events: _Events, depth: int) -> Node:
    event = events.next()
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
        raise _refused(
            event, "No anchors and aliases (& and *): write it out. A text with them needs quotes."
        )
    if getattr(event, "tag", None) is not None:
        raise _refused(event, "No tags (!): a text that begins with ! needs quotes.")
    if depth > DEEPEST_NESTING:
        raise _refused(event, f"Nested deeper than {DEEPEST_NESTING} levels.")
    place = _place(event)
    match event:
        case yaml.ScalarEvent():
            return Scalar(place, event.value, _meaning(event))
        case yaml.SequenceStartEvent():
            items: list[Node] = []
            while not events.skip(yaml.SequenceEndEvent):
                items.append(_node(events, depth + 1))
            return Items(place, tuple(items))
        case _:
            members: list[tuple[Scalar, Node]] = []
            while not events.skip(yaml.MappingEndEvent):
                at = events.current
                key = _node(events, depth + 1)
                if not isinstance(key, Scalar):
                    raise _refused(at, "A name must be a text.")
                members.append((key, _node(events, depth + 1)))
            return Members(place, tuple(members))


def _meaning(event: yaml.ScalarEvent) -> str | int | float | bool | None:
    text: str = event.value
    if event.style is not None:  # quoted, or a block
        return text
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text)
    return text


def _place(event: yaml.Event) -> Place:
    mark = event.start_mark
    assert mark is not None, "PyYAML marks every event"
    return Place(mark.line + 1, mark.column + 1)


def _refused(event: yaml.Event, detail: str) -> NotReadable:
    place = _place(event)
    return NotReadable(Complaint(place.line, place.column, detail))


def _syntax(error: yaml.MarkedYAMLError) -> Complaint:
    mark = error.problem_mark or error.context_mark
    problem = error.problem or "something is missing"
    hint = ""
    if "'\\t'" in problem:
        hint = " Use spaces, not tabs."
    elif "mapping values are not allowed" in problem:
        hint = " A text with a colon and a space in it needs quotes; or the line begins too far to the right."
    elif "expected ',' or" in problem:
        hint = " Inside { } and [ ] a text with any of ? : , { } [ ] in it needs quotes."
    elif "block end" in problem:
        hint = " Is the line as far to the right as its neighbours?"
    line, column = (1, 1) if mark is None else (mark.line + 1, mark.column + 1)
    return Complaint(line, column, f"This is not YAML: {problem}.{hint}")
