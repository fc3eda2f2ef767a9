"""Reading `expect:`, one entry an expectation, judged by `judging.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bolti_server.simulated.scenarios.nodes import Members, Node, Place, Scalar, plain
from bolti_server.simulated.scenarios.patterns import pattern_complaint
from bolti_server.simulated.scenarios.reading import Reader, kind_of, unknown
from bolti_server.simulated.scenarios.scenario import (
    LONGEST_LATENCY_MS,
    LONGEST_PATTERN,
    LONGEST_TOOL_NAME,
    LONGEST_TOTAL_SECONDS,
    LONGEST_WORDS,
    MOST_EXPECTATIONS,
    AgentIsInterrupted,
    AgentSays,
    CallsTool,
    EndsWith,
    Expectation,
    How,
    TotalUnder,
    TurnLatencyUnder,
    Words,
)

# All of product.md §6; a test holds them against calls.hangups, which stands above this.
HANGUP_CODES = (
    "remote_hangup",
    "agent_hangup",
    "transferred",
    "voicemail",
    "silence_timeout",
    "max_duration",
    "credits_exhausted",
    "ended_by_user",
    "no_answer",
    "busy",
    "declined",
    "blocked_as_spam",
    "caller_cancelled",
    "cancelled_by_user",
    "cancelled_by_campaign",
    "invalid_number",
    "number_changed",
    "unreachable",
    "destination_forbidden",
    "provider_authentication_failed",
    "trunk_misconfigured",
    "provider_unavailable",
    "provider_rate_limited",
    "trunk_unreachable",
    "media_incompatible",
    "media_lost",
    "media_unavailable",
    "no_audio",
    "agent_unavailable",
    "agent_lost",
    "model_error",
    "outcome_unknown",
    "expired",
    "insufficient_credits",
    "do_not_call",
    "destination_not_allowed",
    "agent_inactive",
    "concurrency_limit",
    "outside_calling_window",
)


def read_expectations(reader: Reader, node: Node) -> tuple[Expectation, ...]:
    found: list[Expectation] = []
    for entry in reader.items(node, "expect", MOST_EXPECTATIONS):
        if not isinstance(entry, Members) or len(entry.members) != 1:
            what = kind_of(entry) if not isinstance(entry, Members) else "several names"
            detail = f"An expectation is one name and its value, e.g. ends_with: agent_hangup. This is {what}."
            reader.complain(entry, detail)
            continue
        key, value = entry.members[0]
        read = _READERS.get(key.text)
        if read is None:
            reader.complain(key, unknown(key.text, NAMES, "There is no expectation"))
            continue
        expectation = read(reader, key.place, value)
        if expectation is not None:
            found.append(expectation)
    return tuple(found)


_WAYS: tuple[How, ...] = ("exact", "contains", "regex")


def _words(reader: Reader, node: Node, name: str) -> Words | None:
    if not isinstance(node, Members):
        detail = (
            f"Write {name}: {{contains: …}}, {{exact: …}} or {{regex: …}}. This is {kind_of(node)}."
        )
        reader.complain(node, detail)
        return None
    members = reader.members(node, name, _WAYS)
    if len(members) > 1 or not node.members:
        reader.complain(node, f"{name} takes one of {', '.join(_WAYS)}.")
        return None
    for how in _WAYS:
        if how in members:
            longest = LONGEST_PATTERN if how == "regex" else LONGEST_WORDS
            text = reader.text(members[how], how, longest)
            complaint = pattern_complaint(text) if text is not None and how == "regex" else None
            if complaint is not None:
                reader.complain(members[how], complaint)
                return None
            return (
                None
                if text is None
                else Words(how, " ".join(text.split()) if how != "regex" else text)
            )
    return None


def _says(*, is_wanted: bool) -> Callable[[Reader, Place, Node], Expectation | None]:
    name = "agent_says" if is_wanted else "agent_does_not_say"

    def read(reader: Reader, place: Place, node: Node) -> Expectation | None:
        words = _words(reader, node, name)
        return None if words is None else AgentSays(place.line, words, is_wanted)

    return read


def _calls_tool(reader: Reader, place: Place, node: Node) -> Expectation | None:
    if isinstance(node, Scalar):
        name = reader.text(node, "calls_tool", LONGEST_TOOL_NAME)
        return None if name is None else CallsTool(place.line, name)
    members = reader.members(node, "calls_tool", ("name", "arguments"), required=("name",))
    name = reader.text(members["name"], "name", LONGEST_TOOL_NAME) if "name" in members else None
    arguments: Mapping[str, object] | None = None
    if "arguments" in members:
        given = members["arguments"]
        if not isinstance(given, Members):
            reader.complain(
                given, f"arguments has members (name: value). This is {kind_of(given)}."
            )
            return None
        reader.unique(given)
        arguments = {key.text: plain(value) for key, value in given.members}
    return None if name is None else CallsTool(place.line, name, arguments)


def _does_not_call(reader: Reader, place: Place, node: Node) -> Expectation | None:
    name = reader.text(node, "does_not_call_tool", LONGEST_TOOL_NAME)
    return None if name is None else CallsTool(place.line, name, is_wanted=False)


def _interrupted(reader: Reader, place: Place, node: Node) -> Expectation | None:
    is_wanted = reader.truth(node, "agent_is_interrupted")
    return None if is_wanted is None else AgentIsInterrupted(place.line, is_wanted)


def _ends_with(reader: Reader, place: Place, node: Node) -> Expectation | None:
    code = reader.one_of(node, "hangup code", HANGUP_CODES)
    return None if code is None else EndsWith(place.line, code)


def _latency(reader: Reader, place: Place, node: Node) -> Expectation | None:
    ms = reader.whole(node, "turn_latency_under_ms", 1, LONGEST_LATENCY_MS, "milliseconds")
    return None if ms is None else TurnLatencyUnder(place.line, ms)


def _total(reader: Reader, place: Place, node: Node) -> Expectation | None:
    seconds = reader.whole(node, "total_under_seconds", 1, LONGEST_TOTAL_SECONDS, "seconds")
    return None if seconds is None else TotalUnder(place.line, seconds)


_READERS: Mapping[str, Callable[[Reader, Place, Node], Expectation | None]] = {
    "agent_says": _says(is_wanted=True),
    "agent_does_not_say": _says(is_wanted=False),
    "calls_tool": _calls_tool,
    "does_not_call_tool": _does_not_call,
    "agent_is_interrupted": _interrupted,
    "ends_with": _ends_with,
    "turn_latency_under_ms": _latency,
    "total_under_seconds": _total,
}
NAMES = tuple(_READERS)
