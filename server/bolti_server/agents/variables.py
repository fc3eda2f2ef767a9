"""Variables in the texts of agents and tools: `{{ name }}` and `{{ name | default: "there" }}`.

Rule: a text is read once, left to right, in linear time; a value is inserted as it is and never read as a template.
What goes to an LLM (`resolve`) holds no `{{` at all, whatever stood in the text or in the values. A regex and not a
template engine: a sandboxed jinja2 rendered a 1 GB string.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import TypeVar

import attrs

Value = str | int | float | bool
T = TypeVar("T")

# Filled by us at call start, never required, and never taken from the request (product.md §4).
BUILT_IN = frozenset(
    {
        "conversation_id",
        "agent_name",
        "direction",
        "from_number",
        "to_number",
        "caller_number",
        "callee_number",
        "current_date",
        "current_time",
        "current_weekday",
        "timezone",
        "campaign_name",
    }
)

# A name is anything without spaces, braces, quotes and the filter's signs: `\w` would refuse Hindi, whose vowel signs
# are no letters to it. Possessive quantifiers (`++`, `*+`) keep a megabyte of spaces linear.
_NAME = r"[^\s{}|\"':,\\]++"
_TAG = re.compile(
    r"\{\{\s*+(?P<name>" + _NAME + r")\s*+"
    r"(?:(?P<filter>\|)\s*+default\s*+:\s*+"
    r"(?:\"(?P<double>[^\"]*+)\"|'(?P<single>[^']*+)'|(?P<bare>-?[0-9]++(?:\.[0-9]++)?|true|false))\s*+)?"
    r"\}\}"
)
_UNREADABLE = re.compile(r"\{\{[^{}]*+\}\}")
_OPENING = re.compile(r"\{{2,}+")


@attrs.frozen
class Tag:
    """One `{{ … }}` of a text, at `start`…`end`. `default` is None where the variable has none."""

    name: str
    default: Value | None
    start: int
    end: int


def tags(text: str) -> Iterator[Tag]:
    """Every readable tag of `text`, in order."""
    for match in _TAG.finditer(text):
        yield Tag(canonical(match["name"]), _default(match), match.start(), match.end())


def required_names(texts: Iterable[str]) -> list[str]:
    """The names that a caller has to give values for: not built in and, at least once, without a default. In order."""
    names = (tag.name for text in texts for tag in tags(text) if tag.default is None)
    return [name for name in dict.fromkeys(names) if name not in BUILT_IN]


def unreadable_parts(text: str) -> list[str]:
    """What looks like a tag and is none (`{{ name | upcase }}`, a `{{` that nothing closes): the first five, cut."""
    found: list[str] = []
    for gap in _gaps(text):
        found.extend(match[0] for match in islice(_UNREADABLE.finditer(gap), 5))
        rest = _UNREADABLE.sub("", gap)
        opened = islice(_OPENING.finditer(rest), 5)
        found.extend(rest[match.start() : match.start() + 40].rstrip() for match in opened)
        if len(found) >= 5:
            break
    return [part if len(part) <= 60 else part[:57] + "…" for part in found[:5]]


def resolve(text: str, values: Mapping[str, Value]) -> str:
    """`text` for an LLM or a voice: values in, and no `{{` left. A missing value leaves nothing.

    As in Liquid, a default also stands in for an empty string and for false. Runs of braces (in a value, or where
    nothing closes them) become one brace.
    """
    pieces = substitute(text, values, lambda _tag, value: spell(value))
    return _OPENING.sub("{", pieces)


def substitute(text: str, values: Mapping[str, T], write: Callable[[Tag, T | Value], str]) -> str:
    """`text` with each tag replaced by `write(tag, value)`; a missing value is the empty string.

    Unreadable tags are dropped. Everything else, values included, comes through unchanged.
    """
    known = {canonical(name): value for name, value in values.items()}
    pieces: list[str] = []
    position = 0
    for tag in tags(text):
        pieces.append(_UNREADABLE.sub("", text[position : tag.start]))
        value: T | Value = known.get(tag.name, "")
        if tag.default is not None and (value is None or value == "" or value is False):
            value = tag.default
        pieces.append(write(tag, value))
        position = tag.end
    pieces.append(_UNREADABLE.sub("", text[position:]))
    return "".join(pieces)


def spell(value: Value) -> str:
    """A value as text: true, 5 (also for 5.0), 2.5."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def canonical(name: str) -> str:
    """One spelling for a name that Unicode can write in two ways (é)."""
    return unicodedata.normalize("NFC", name)


def _default(match: re.Match[str]) -> Value | None:
    if match["filter"] is None:
        return None
    bare = match["bare"]
    if bare is None:
        return match["double"] if match["double"] is not None else match["single"]
    if bare in ("true", "false"):
        return bare == "true"
    return float(bare) if "." in bare else int(bare)


def _gaps(text: str) -> Iterator[str]:
    position = 0
    for tag in tags(text):
        yield text[position : tag.start]
        position = tag.end
    yield text[position:]
