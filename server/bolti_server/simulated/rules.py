"""What the simulated language model does when it hears something: an agent's rules, tried in their order.

Rules of the rules: `hear` is searched in the other side's last turn, ignoring case; the first that matches counts. A rule
with `tool` calls the tool and says its words after the result, once; `cut_call` ends the call, so there the words come
first. A tool that the agent does not have is left out. Where no rule matches it says `default_reply`.

Patterns run on Rust's engine (through pydantic), in time linear in the text: an agent's pattern must not hold up the other
calls of its worker. So there is no look-around and there are no back-references. This module imports no livekit.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import attrs
from pydantic_core import SchemaError, SchemaValidator, ValidationError, core_schema

from bolti_server.worker_api.messages import LlmRule

ENDS_THE_CALL = "cut_call"
UNSURE = "I see."


@attrs.frozen
class Answer:
    """What the model says, and then the tool that it calls, if any."""

    say: str | None = None
    tool: str | None = None
    arguments: dict[str, Any] = attrs.Factory(dict)


def complaint_about(hear: str) -> str | None:
    """What is wrong with a pattern, in words; None where it can be used."""
    try:
        _compile(hear)
    except SchemaError as error:
        return f"{hear!r} is not a regular expression that can be used here: {error}"
    return None


class Rules:
    """Raises ValueError for a pattern that can't be used (`complaint_about` tells before)."""

    def __init__(self, rules: Sequence[LlmRule], default_reply: str | None) -> None:
        for rule in rules:
            complaint = complaint_about(rule.hear)
            if complaint is not None:
                raise ValueError(complaint)
        self._rules = [(_compile(rule.hear), rule) for rule in rules]
        self._default_reply = default_reply or UNSURE

    def answer(self, heard: str, tools: Collection[str], *, has_result: bool) -> Answer:
        """What to do about `heard`; `has_result`: the tool that it led to has answered."""
        rule = next((rule for pattern, rule in self._rules if _matches(pattern, heard)), None)
        if rule is None:
            return Answer(self._default_reply)
        if rule.tool is None or rule.tool.name not in tools:
            return Answer(rule.say or self._default_reply)
        if rule.tool.name == ENDS_THE_CALL:
            return Answer() if has_result else Answer(rule.say, rule.tool.name, rule.tool.arguments)
        if has_result:
            return Answer(rule.say or self._default_reply)
        return Answer(None, rule.tool.name, rule.tool.arguments)


def _compile(hear: str) -> SchemaValidator:
    return SchemaValidator(
        core_schema.str_schema(pattern=f"(?i:{hear})", regex_engine="rust-regex")
    )


def _matches(pattern: SchemaValidator, heard: str) -> bool:
    try:
        pattern.validate_python(heard)
    except ValidationError:
        return False
    return True
