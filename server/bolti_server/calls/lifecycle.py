"""The life of a conversation as one table: what may happen in which status, what comes of it, when it must be over.

Rules, all from product.md §6 and reliability.md:
- `decide` knows every pair of status and fact: it is a move, old news (late or repeated: recorded, changes nothing), or
  a protocol break (whoever reports it is wrong: recorded, changes nothing, logged).
- A terminal status never changes: there everything is old news.
- Every status that is not terminal has a deadline.

Pure: no database, no network, no clock. `draw` is the picture of it, kept in docs/lifecycle.md. Hangup codes, which
decide the terminal status, stand in `hangups`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import attrs

from bolti_server.calls.hangups import (
    DIALED,
    HANGUPS,
    OUR_FAULTS,
    TALKING,
    TERMINAL,
    By,
    Direction,
    Fault,
    HangupCode,
    HangupRule,
    Status,
    code_in,
    status_for,
)

__all__ = [
    "HANGUPS",
    "OUR_FAULTS",
    "TERMINAL",
    "Break",
    "By",
    "Decision",
    "Direction",
    "Fact",
    "Fault",
    "HangupCode",
    "HangupRule",
    "Move",
    "OldNews",
    "Status",
    "code_in",
    "code_when_agent_lost",
    "code_when_overdue",
    "deadline_seconds",
    "decide",
    "draw",
    "endings",
    "status_for",
]


class Fact(StrEnum):
    """What can be heard about a conversation."""

    QUEUED = "queued"  # its instant or its free place has come
    CLAIMED = "claimed"  # an agent worker took it
    AGENT_READY = "agent_ready"
    INTENT = "intent"  # the agent is about to dial
    UNSENT = "unsent"  # the dial was refused before anything was sent
    RINGING = "ringing"
    ANSWERED = "answered"
    ENDED = "ended"


@attrs.frozen
class Move:
    """The status becomes `to` (None: what the hangup code says) and `event` is logged (None: nothing)."""

    to: Status | None
    event: str | None = None


@attrs.frozen
class OldNews:
    """Late or repeated: it changes nothing."""


@attrs.frozen
class Break:
    """It can't be true: whoever reports it breaks the protocol. It changes nothing."""


Decision = Move | OldNews | Break

_OLD: Final = OldNews()
_BREAK: Final = Break()
_END: Final = Move(None, "conversation.ended")

# One row a status, one column a fact. A claim after the intent is a second agent that takes a call over: only where the
# line is a participant of a room (docs/decisions/0013); the callee of any other line is gone with its worker.
_TABLE: Final[Mapping[Status, Mapping[Fact, Decision]]] = {
    Status.SCHEDULED: {
        Fact.QUEUED: Move(Status.QUEUED),
        Fact.CLAIMED: _BREAK,
        Fact.AGENT_READY: _BREAK,
        Fact.INTENT: _BREAK,
        Fact.UNSENT: _BREAK,
        Fact.RINGING: _BREAK,
        Fact.ANSWERED: _BREAK,
        Fact.ENDED: _END,
    },
    Status.QUEUED: {
        Fact.QUEUED: _OLD,
        Fact.CLAIMED: Move(Status.QUEUED),
        Fact.AGENT_READY: Move(Status.QUEUED),
        Fact.INTENT: Move(Status.DIALING, "conversation.started"),
        Fact.UNSENT: _BREAK,
        Fact.RINGING: _BREAK,  # nobody rings before the intent
        Fact.ANSWERED: _BREAK,
        Fact.ENDED: _END,
    },
    Status.DIALING: {
        Fact.QUEUED: _OLD,
        Fact.CLAIMED: Move(Status.DIALING),
        Fact.AGENT_READY: _OLD,
        Fact.INTENT: _OLD,
        Fact.UNSENT: Move(Status.QUEUED),  # the one step back: nobody's phone knows of it
        Fact.RINGING: Move(Status.RINGING, "conversation.ringing"),
        Fact.ANSWERED: Move(Status.IN_PROGRESS, "conversation.answered"),
        Fact.ENDED: _END,
    },
    Status.RINGING: {
        Fact.QUEUED: _OLD,
        Fact.CLAIMED: Move(Status.RINGING),
        Fact.AGENT_READY: _OLD,
        Fact.INTENT: _OLD,
        Fact.UNSENT: _BREAK,
        Fact.RINGING: _OLD,
        Fact.ANSWERED: Move(Status.IN_PROGRESS, "conversation.answered"),
        Fact.ENDED: _END,
    },
    Status.IN_PROGRESS: {
        Fact.QUEUED: _OLD,
        Fact.CLAIMED: Move(Status.IN_PROGRESS),
        Fact.AGENT_READY: _OLD,
        Fact.INTENT: _OLD,
        Fact.UNSENT: _BREAK,
        Fact.RINGING: _OLD,  # the answer overtook it
        Fact.ANSWERED: _OLD,
        Fact.ENDED: _END,
    },
    **{status: dict.fromkeys(Fact, _OLD) for status in sorted(TERMINAL)},
}


def decide(status: Status, fact: Fact) -> Decision:
    """What `fact` is to a conversation in `status`."""
    return _TABLE[status][fact]


QUEUED_SECONDS: Final = 60
SECOND_DISPATCH_SECONDS: Final = (
    7  # the first agent is not ready: another may take the call (the epoch fences the first)
)
AGENT_READY_SECONDS: Final = 15  # after the first dispatch
DIAL_REQUEST_SECONDS: Final = 15
SCHEDULED_LATE_SECONDS: Final = 300
SILENT_SECONDS: Final = 15.0  # the heartbeat of an agent that lives is never older
CUT_SECONDS: Final = (
    1  # a heartbeat that was cut so long ago, and no other since: the agent is lost
)
RESCUE_SECONDS: Final = 4  # until the agent that takes over has to be heard of
UNSENT_WAIT_SECONDS: Final = 3  # before a dial that could not be sent is tried again
GRACE_SECONDS: Final = 5  # what a line that ends in time may take to be reported


def deadline_seconds(
    status: Status, *, ring_timeout_seconds: int, max_duration_seconds: int
) -> int:
    """How long a conversation may stay in `status`, in seconds; of a scheduled one: after its instant.

    Raises KeyError for a terminal status, which has no deadline.
    """
    return {
        Status.SCHEDULED: SCHEDULED_LATE_SECONDS,
        Status.QUEUED: QUEUED_SECONDS,
        Status.DIALING: DIAL_REQUEST_SECONDS,
        Status.RINGING: ring_timeout_seconds + GRACE_SECONDS,
        Status.IN_PROGRESS: max_duration_seconds + GRACE_SECONDS,
    }[status]


def code_when_overdue(
    status: Status,
    *,
    is_cap_shortened: bool,
    is_waiting: bool,
    is_unsent: bool = False,
    direction: Direction = "outbound",
) -> HangupCode:
    """Why a conversation ends whose deadline in `status` passed. `is_waiting`: it never got a free place; `is_unsent`: its
    dial could never be sent. A call that comes in rings until our agent answers it.

    Raises KeyError for a terminal status, which has no deadline.
    """
    if direction == "inbound" and status is Status.RINGING:
        return HangupCode.AGENT_UNAVAILABLE
    queued = HangupCode.MEDIA_UNAVAILABLE if is_unsent else HangupCode.AGENT_UNAVAILABLE
    return {
        Status.SCHEDULED: HangupCode.EXPIRED,
        Status.QUEUED: HangupCode.EXPIRED if is_waiting else queued,
        Status.DIALING: HangupCode.OUTCOME_UNKNOWN,
        Status.RINGING: HangupCode.NO_ANSWER,
        Status.IN_PROGRESS: HangupCode.CREDITS_EXHAUSTED
        if is_cap_shortened
        else HangupCode.MAX_DURATION,
    }[status]


def code_when_agent_lost(status: Status, direction: Direction = "outbound") -> HangupCode | None:
    """Why a call ends that no agent has any more; None: nothing was dialed, another agent may take it."""
    if direction == "inbound" and status is Status.RINGING:
        return HangupCode.AGENT_UNAVAILABLE
    if status in TALKING:
        return HangupCode.AGENT_LOST
    return HangupCode.OUTCOME_UNKNOWN if status in DIALED else None


def endings(status: Status) -> frozenset[Status]:
    """The terminal statuses that a conversation in `status` can end in (a call that comes in starts at `ringing`)."""
    directions: tuple[Direction, ...] = (
        ("outbound",) if status in (Status.SCHEDULED, Status.QUEUED) else ("outbound", "inbound")
    )
    return frozenset(
        status_for(code, direction)
        for code, rule in HANGUPS.items()
        if status in rule.possible_in
        for direction in directions
    )


def draw() -> str:
    """The table as a Mermaid state diagram, for docs/lifecycle.md."""
    moves = [
        f"    {status} --> {decision.to}: {fact}"
        for status, row in _TABLE.items()
        for fact, decision in row.items()
        if isinstance(decision, Move) and decision.to is not None
    ]
    ends = [
        f"    {status} --> {end}: ended" for status in _TABLE for end in sorted(endings(status))
    ]
    starts = [f"    [*] --> {start}" for start in ("scheduled", "queued", "ringing")]
    last = [f"    {status} --> [*]" for status in sorted(TERMINAL)]
    return "\n".join(["stateDiagram-v2", *starts, *moves, *ends, *last]) + "\n"
