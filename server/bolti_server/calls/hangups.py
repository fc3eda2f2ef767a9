"""Why a call ended: one set of hangup codes for every provider (product.md §6), and what each of them says.

Rules: the code decides the terminal status, who ended the call, whose fault it was, whether calling again can help; a
code is possible in some statuses only (nobody is busy after the answer). Pure: no database, no network, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Literal

import attrs

Direction = Literal["outbound", "inbound", "web"]


class Status(StrEnum):
    SCHEDULED = "scheduled"
    QUEUED = "queued"  # claimed, agent requested and agent ready are steps inside it
    DIALING = "dialing"  # the intent is committed: the point of no return
    RINGING = "ringing"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        return self in TERMINAL


class By(StrEnum):
    REMOTE = "remote"
    AGENT = "agent"
    USER = "user"
    PLATFORM = "platform"
    PROVIDER = "provider"


class Fault(StrEnum):
    NONE = "none"
    FUNDS = "funds"
    POLICY = "policy"
    DESTINATION = "destination"
    CONFIGURATION = "configuration"
    PROVIDER = "provider"
    PLATFORM = "platform"
    MODEL_PROVIDER = "model_provider"


# A call that fails by one of these after the answer costs nothing.
OUR_FAULTS: Final = frozenset({Fault.PLATFORM, Fault.MODEL_PROVIDER})

TERMINAL: Final = frozenset(
    {
        Status.COMPLETED,
        Status.NO_ANSWER,
        Status.BUSY,
        Status.REJECTED,
        Status.FAILED,
        Status.CANCELLED,
    }
)


class HangupCode(StrEnum):
    REMOTE_HANGUP = "remote_hangup"
    AGENT_HANGUP = "agent_hangup"
    TRANSFERRED = "transferred"
    VOICEMAIL = "voicemail"
    SILENCE_TIMEOUT = "silence_timeout"
    MAX_DURATION = "max_duration"
    CREDITS_EXHAUSTED = "credits_exhausted"
    ENDED_BY_USER = "ended_by_user"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    DECLINED = "declined"
    BLOCKED_AS_SPAM = "blocked_as_spam"
    CALLER_CANCELLED = "caller_cancelled"
    CANCELLED_BY_USER = "cancelled_by_user"
    CANCELLED_BY_CAMPAIGN = "cancelled_by_campaign"
    INVALID_NUMBER = "invalid_number"
    NUMBER_CHANGED = "number_changed"
    UNREACHABLE = "unreachable"
    DESTINATION_FORBIDDEN = "destination_forbidden"
    PROVIDER_AUTHENTICATION_FAILED = "provider_authentication_failed"
    TRUNK_MISCONFIGURED = "trunk_misconfigured"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    PROVIDER_RATE_LIMITED = "provider_rate_limited"
    TRUNK_UNREACHABLE = "trunk_unreachable"
    MEDIA_INCOMPATIBLE = "media_incompatible"
    NO_AUDIO = "no_audio"
    AGENT_UNAVAILABLE = "agent_unavailable"
    MEDIA_UNAVAILABLE = "media_unavailable"
    AGENT_LOST = "agent_lost"
    MEDIA_LOST = "media_lost"
    MODEL_ERROR = "model_error"
    OUTCOME_UNKNOWN = "outcome_unknown"
    EXPIRED = "expired"
    INSUFFICIENT_CREDITS = "insufficient_credits"
    DO_NOT_CALL = "do_not_call"
    DESTINATION_NOT_ALLOWED = "destination_not_allowed"
    AGENT_INACTIVE = "agent_inactive"
    CONCURRENCY_LIMIT = "concurrency_limit"
    OUTSIDE_CALLING_WINDOW = "outside_calling_window"


@attrs.frozen
class HangupRule:
    """What a hangup code says. `inbound_status` differs where we are the one who is called and refuses."""

    status: Status
    by: By
    fault: Fault
    retryable: bool
    possible_in: frozenset[Status]
    inbound_status: Status | None = None


_UNDIALED = frozenset({Status.SCHEDULED, Status.QUEUED})
DIALED = frozenset({Status.DIALING, Status.RINGING})
TALKING = frozenset({Status.IN_PROGRESS})
_WITH_AGENT = DIALED | TALKING | {Status.QUEUED}
_REFUSABLE = _UNDIALED | {Status.RINGING}  # a call that comes in is refused while it rings


def _talked(by: By, *, fault: Fault = Fault.NONE, retryable: bool = False) -> HangupRule:
    return HangupRule(Status.COMPLETED, by, fault, retryable, TALKING)


def _unreached(
    status: Status, by: By, *, fault: Fault = Fault.NONE, retryable: bool = False
) -> HangupRule:
    return HangupRule(status, by, fault, retryable, DIALED)


def _not_delivered(
    fault: Fault, *, retryable: bool, possible_in: frozenset[Status] = DIALED
) -> HangupRule:
    return HangupRule(Status.FAILED, By.PROVIDER, fault, retryable, possible_in)


def _our_failure(
    possible_in: frozenset[Status], *, fault: Fault = Fault.PLATFORM, retryable: bool = True
) -> HangupRule:
    return HangupRule(Status.FAILED, By.PLATFORM, fault, retryable, possible_in)


def _refused(fault: Fault, *, retryable: bool = False) -> HangupRule:
    return HangupRule(
        Status.FAILED, By.PLATFORM, fault, retryable, _REFUSABLE, inbound_status=Status.REJECTED
    )


_CANCELLABLE = _UNDIALED | DIALED

HANGUPS: Final[Mapping[HangupCode, HangupRule]] = {
    HangupCode.REMOTE_HANGUP: _talked(By.REMOTE),
    HangupCode.AGENT_HANGUP: _talked(By.AGENT),
    HangupCode.TRANSFERRED: _talked(By.AGENT),
    HangupCode.VOICEMAIL: _talked(By.AGENT, retryable=True),  # but not where a message was left
    HangupCode.SILENCE_TIMEOUT: _talked(By.PLATFORM),
    HangupCode.MAX_DURATION: _talked(By.PLATFORM),
    HangupCode.CREDITS_EXHAUSTED: _talked(By.PLATFORM, fault=Fault.FUNDS),
    HangupCode.ENDED_BY_USER: _talked(By.USER),
    HangupCode.NO_ANSWER: _unreached(Status.NO_ANSWER, By.REMOTE, retryable=True),
    HangupCode.BUSY: _unreached(Status.BUSY, By.REMOTE, retryable=True),
    HangupCode.DECLINED: _unreached(Status.REJECTED, By.REMOTE),
    HangupCode.BLOCKED_AS_SPAM: _unreached(Status.REJECTED, By.PROVIDER, fault=Fault.POLICY),
    HangupCode.CALLER_CANCELLED: HangupRule(
        Status.CANCELLED, By.REMOTE, Fault.NONE, False, frozenset({Status.RINGING})
    ),
    HangupCode.CANCELLED_BY_USER: HangupRule(
        Status.CANCELLED, By.USER, Fault.NONE, False, _CANCELLABLE
    ),
    HangupCode.CANCELLED_BY_CAMPAIGN: HangupRule(
        Status.CANCELLED, By.PLATFORM, Fault.NONE, False, _CANCELLABLE
    ),
    HangupCode.INVALID_NUMBER: _not_delivered(Fault.DESTINATION, retryable=False),
    HangupCode.NUMBER_CHANGED: _not_delivered(Fault.DESTINATION, retryable=False),
    HangupCode.UNREACHABLE: _not_delivered(Fault.DESTINATION, retryable=True),
    HangupCode.DESTINATION_FORBIDDEN: _not_delivered(Fault.POLICY, retryable=False),
    HangupCode.PROVIDER_AUTHENTICATION_FAILED: _not_delivered(Fault.CONFIGURATION, retryable=False),
    HangupCode.TRUNK_MISCONFIGURED: _not_delivered(Fault.CONFIGURATION, retryable=False),
    HangupCode.PROVIDER_UNAVAILABLE: _not_delivered(Fault.PROVIDER, retryable=True),
    HangupCode.PROVIDER_RATE_LIMITED: _not_delivered(Fault.PROVIDER, retryable=True),
    HangupCode.TRUNK_UNREACHABLE: _not_delivered(Fault.PROVIDER, retryable=True),
    HangupCode.MEDIA_INCOMPATIBLE: _not_delivered(
        Fault.PROVIDER, retryable=True, possible_in=DIALED | TALKING
    ),
    HangupCode.NO_AUDIO: _not_delivered(
        Fault.PROVIDER, retryable=True, possible_in=DIALED | TALKING
    ),
    # Of a call that comes in: while it rings.
    HangupCode.AGENT_UNAVAILABLE: _our_failure(frozenset({Status.QUEUED, Status.RINGING})),
    HangupCode.MEDIA_UNAVAILABLE: _our_failure(frozenset({Status.QUEUED, Status.DIALING})),
    HangupCode.AGENT_LOST: _our_failure(TALKING | {Status.QUEUED}),
    HangupCode.MEDIA_LOST: _our_failure(_WITH_AGENT),
    HangupCode.MODEL_ERROR: _our_failure(_WITH_AGENT, fault=Fault.MODEL_PROVIDER),
    HangupCode.OUTCOME_UNKNOWN: _our_failure(DIALED, retryable=False),
    HangupCode.EXPIRED: _our_failure(_UNDIALED, fault=Fault.NONE, retryable=False),
    HangupCode.INSUFFICIENT_CREDITS: _refused(Fault.FUNDS),
    HangupCode.DO_NOT_CALL: _refused(Fault.POLICY),
    HangupCode.DESTINATION_NOT_ALLOWED: _refused(Fault.POLICY),
    HangupCode.AGENT_INACTIVE: _refused(Fault.POLICY),
    HangupCode.CONCURRENCY_LIMIT: _refused(Fault.POLICY, retryable=True),
    HangupCode.OUTSIDE_CALLING_WINDOW: _refused(Fault.POLICY, retryable=True),
}


def status_for(code: HangupCode, direction: Direction) -> Status:
    """The terminal status that `code` means for a call of that direction."""
    rule = HANGUPS[code]
    if direction == "inbound" and rule.inbound_status is not None:
        return rule.inbound_status
    return rule.status


def code_in(status: Status, code: HangupCode) -> HangupCode | None:
    """`code` as it has to be called for a call that ends in `status`; None where it can't be (a protocol break).

    A user who ends a call may cross its answer: before it that is `cancelled_by_user`, after it `ended_by_user`. Who lost
    its agent between intent and answer does not know what came of the dial: `outcome_unknown`, which is not retried.
    """
    if code in (HangupCode.ENDED_BY_USER, HangupCode.CANCELLED_BY_USER):
        is_talking = status in TALKING
        code = HangupCode.ENDED_BY_USER if is_talking else HangupCode.CANCELLED_BY_USER
    if code is HangupCode.AGENT_LOST and status in DIALED:
        code = HangupCode.OUTCOME_UNKNOWN
    return code if status in HANGUPS[code].possible_in else None
