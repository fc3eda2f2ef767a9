"""What a scenario is, once it has been read: steps of the callee, and expectations.

Rule: limits on everything; they stand here, and contracts/scenario.schema.json says the same (a test compares).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs

LONGEST_SCRIPT = 16_384  # characters
DEEPEST_NESTING = 16
MOST_STEPS = 100
MOST_EXPECTATIONS = 50
MOST_VARIABLES = 100
LONGEST_NAME = 100
LONGEST_DESCRIPTION = 1_000
LONGEST_WORDS = 500  # that are said at once
LONGEST_PATTERN = 500
LONGEST_TOOL_NAME = 255
MOST_KEYS = 32
LONGEST_RING_MS = 120_000
LONGEST_WAIT_MS = 120_000
LONGEST_BEEP_MS = 5_000
LONGEST_LATENCY_MS = 60_000
LONGEST_TOTAL_SECONDS = 14_400

PATIENCE_MS = 10_000  # where a step that waits says nothing else

# Why a call can fail before it is answered, with the SIP status that a provider would give (product.md §6). A test holds
# the names against the hangup codes.
FAILURES: Mapping[str, int | None] = {
    "invalid_number": 404,
    "number_changed": 410,
    "unreachable": 480,
    "blocked_as_spam": 608,
    "destination_forbidden": 403,
    "provider_authentication_failed": 401,
    "provider_rate_limited": 429,
    "provider_unavailable": 503,
    "media_incompatible": 488,
    "outcome_unknown": None,
}

Verb = Literal[
    "wait_for_agent",
    "wait_for_voice",
    "wait_for_keys",
    "wait_for_hang_up",
    "wait",
    "say",
    "press",
    "noise",
    "silence",
    "beep",
    "hang_up",
]


@attrs.frozen
class Step:
    """One thing that the callee does after the answer. `ms`, `text` and `level` are set where the verb has them."""

    verb: Verb
    line: int
    ms: int | None = None
    text: str = ""
    level: float = 0.0


@attrs.frozen
class Failure:
    """The call is not answered: a hangup code, and the SIP status that came with it."""

    code: str
    sip_status: int | None


How = Literal["exact", "contains", "regex"]


@attrs.frozen
class Words:
    """What is looked for in what the agent said."""

    how: How
    text: str


@attrs.frozen
class AgentSays:
    """`is_wanted` False: it must not be said."""

    line: int
    words: Words
    is_wanted: bool = True


@attrs.frozen
class CallsTool:
    """`arguments` are those that must have been given, others are free; None: any. `is_wanted` False: not to be called."""

    line: int
    name: str
    arguments: Mapping[str, object] | None = None
    is_wanted: bool = True


@attrs.frozen
class AgentIsInterrupted:
    """Some turn of the agent was cut (True), or none was (False)."""

    line: int
    is_wanted: bool


@attrs.frozen
class EndsWith:
    line: int
    code: str


@attrs.frozen
class TurnLatencyUnder:
    """Every turn that answered somebody came in less, end to end."""

    line: int
    ms: int


@attrs.frozen
class TotalUnder:
    """From the dial to the end."""

    line: int
    seconds: int


Expectation = AgentSays | CallsTool | AgentIsInterrupted | EndsWith | TurnLatencyUnder | TotalUnder


@attrs.frozen
class Scenario:
    """`ring_ms` None: it rings until the caller gives up. `failure` None: it is answered. `agent` and `variable_values`
    are for who places the call (`bolti test`); the network has no use for them."""

    name: str
    ring_ms: int | None
    failure: Failure | None
    steps: tuple[Step, ...]
    expectations: tuple[Expectation, ...]
    description: str = ""
    agent: Mapping[str, object] | None = None
    variable_values: Mapping[str, object] = attrs.Factory(dict)
