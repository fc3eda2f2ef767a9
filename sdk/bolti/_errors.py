"""What can go wrong, as one tree under `BoltiError`.

    BoltiError
    ├── ConfigurationError        nothing was sent: a key or a URL is missing or malformed
    ├── ConnectionFailed          no answer came
    │   └── TimedOut              … within the time
    │       └── WaitTimedOut      a conversation was still going on
    ├── UnexpectedAnswer          something answered, but not as the API does
    ├── WebhookVerificationFailed a webhook that must not be trusted
    └── ApiError                  the API refused: `code` says why, `detail` what to do next
        └── one class per status, below it one per code

Rule: catch by class or branch on `code`; texts are for people and change. A code that this version does not know
arrives as the class of its status. No message holds an API key.
"""

from __future__ import annotations

from typing import Any

from bolti._answers import Conversation
from bolti._models import Problem, ProblemFault


class BoltiError(Exception):
    """Everything that this package raises on purpose."""


class ConfigurationError(BoltiError):
    """The client can't be made: the message says what to set. Nothing was sent."""


class ConnectionFailed(BoltiError):
    """No answer came, after all tries.

    `may_have_been_done`: whether a request reached the server and its answer was lost. Where it is true for a call with
    an `idempotency_key`, the same call with that key again is safe and tells the outcome.
    """

    def __init__(
        self,
        message: str,
        *,
        may_have_been_done: bool = False,
        idempotency_key: str | None = None,
    ) -> None:
        super().__init__(message)
        self.may_have_been_done = may_have_been_done
        self.idempotency_key = idempotency_key


class TimedOut(ConnectionFailed):
    """No answer came within `timeout_seconds`, all tries together."""


class WaitTimedOut(TimedOut):
    """The conversation was not over in time; it goes on. `conversation` is its last known record, if there is one."""

    def __init__(self, message: str, *, conversation: Conversation | None) -> None:
        super().__init__(message)
        self.conversation = conversation


class UnexpectedAnswer(BoltiError):
    """The answer is not one of this API: a wrong base URL, a proxy in between, or a server much newer than this client."""

    def __init__(self, message: str, *, status: int, request_id: str | None) -> None:
        super().__init__(message)
        self.status = status
        self.request_id = request_id


class WebhookVerificationFailed(BoltiError):
    """Answer it with 400 and do nothing.

    `reason`: missing_header, malformed, wrong_signature, too_old, too_new, bad_secret.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ApiError(BoltiError):
    """The API refused.

    `code`: the stable name (`not_found`, …; `http_502` where a proxy answered in its own words); `status`: of HTTP;
    `detail`: what is wrong and what to do next; `errors`: everything that is wrong, each with pointer, detail and code;
    `request_id`: names the request in the server's logs; `retry_after_seconds`: where the server said so;
    `extras`: further members of the problem by name, also those that have an attribute of their own.
    """

    def __init__(
        self, problem: Problem, *, request_id: str | None, retry_after_seconds: float | None
    ) -> None:
        super().__init__(_message(problem, request_id))
        self.code: str = problem.code
        self.status: int = problem.status
        self.title: str = problem.title
        self.detail: str = problem.detail
        self.errors: tuple[ProblemFault, ...] = tuple(problem.errors or ())
        self.request_id: str | None = request_id or problem.request_id
        self.retry_after_seconds: float | None = retry_after_seconds
        self.extras: dict[str, Any] = _extras(problem)

    @property
    def codes(self) -> frozenset[str]:
        """Codes of everything that is wrong, the leading one among them."""
        return frozenset({self.code, *(fault.code for fault in self.errors)})

    def _text(self, name: str) -> str | None:
        value = self.extras.get(name)
        return value if isinstance(value, str) else None

    def _number(self, name: str) -> int | None:
        value = self.extras.get(name)
        return value if isinstance(value, int) else None


# ---- One class per status ----


class BadRequest(ApiError):
    """400: the request is not valid; `errors` lists every fault."""


class Unauthenticated(ApiError):
    """401: no key, or not a valid one."""


class PaymentRequired(ApiError):
    """402: the balance covers less than a minute. Amounts are millionths of `currency`."""

    @property
    def balance_micros(self) -> int | None:
        """What there is."""
        return self._number("balance_micros")

    @property
    def required_micros(self) -> int | None:
        """The least that is needed."""
        return self._number("required_micros")

    @property
    def currency(self) -> str | None:
        """ISO 4217."""
        return self._text("currency")

    @property
    def top_up_url(self) -> str | None:
        """Where to add credit."""
        return self._text("top_up_url")


class Forbidden(ApiError):
    """403."""


class NotFound(ApiError):
    """404: there is no such thing in this workspace."""


class Conflict(ApiError):
    """409: not in the present state of things."""


class Unprocessable(ApiError):
    """422."""


class TooManyRequests(ApiError):
    """429: over a limit; `retry_after_seconds` says when to come back."""


class ServerError(ApiError):
    """5xx: the server's fault. It was repeated already where that is safe."""


# ---- One class per code ----


class ValidationFailed(BadRequest):
    """A field is missing, unknown or of the wrong shape; `errors` points at each."""


class MalformedJson(BadRequest):
    """The body is not JSON."""


class InvalidPhoneNumber(BadRequest):
    """A phone number is not E.164 (`+`, country code, subscriber number, no spaces)."""


class MissingVariables(BadRequest):
    """The agent's texts need values that the call did not bring."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Every name that needs a value in `variable_values`."""
        value = self.extras.get("missing")
        return tuple(map(str, value)) if isinstance(value, list) else ()  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


class InsufficientScope(Forbidden):
    """The key lacks a scope."""

    @property
    def required_scope(self) -> str | None:
        """The scope that the operation needs."""
        return self._text("required_scope")


class NumberNotAssigned(Forbidden):
    """The number to call from is not this agent's."""


class DestinationNotAllowed(Forbidden):
    """The number may not be called from here."""


class OriginNotAllowed(Forbidden):
    """A public key works on pages of its own origins alone."""


class DoNotCall(Forbidden):
    """Who has this number does not want to be called by this workspace."""


class RecordingNotAvailable(NotFound):
    """There is no recording (yet)."""

    @property
    def recording_status(self) -> str | None:
        """`pending` while it is being made; `none` or `failed` where there will be none."""
        return self._text("recording_status")


class MethodNotAllowed(ApiError):
    """405."""


class NotAcceptable(ApiError):
    """406."""


class AgentInactive(Conflict):
    """The agent is switched off: `agents.update(…, is_active=True)`."""


class MediaServerMissing(Conflict):
    """The server has no media server (LIVEKIT_URL), so it carries simulated calls only."""


class CalleeAlreadyInCall(Conflict):
    """This workspace has a live call with that number; `allow_concurrent_to_callee=True` calls all the same."""

    @property
    def conversation_id(self) -> str | None:
        """That call."""
        return self._text("conversation_id")


class IdempotencyInProgress(Conflict):
    """The first request with this Idempotency-Key is still running."""


class NameTaken(Conflict):
    """Another one has this name."""


class NumberNotAvailable(Conflict):
    """The number is taken or not offered: `numbers.available()` lists those that can be bought."""


class NumberTaken(Conflict):
    """The workspace has this number already."""


class TrunkInUse(Conflict):
    """It has numbers: `numbers.list(trunk_id=…)`, then `numbers.release` each."""


class TrunkFull(Conflict):
    """It carries as many numbers as a trunk can: make another."""


class TrunkNotChangeable(Conflict):
    """The simulated network's trunk, which every workspace has as it is."""


class PreconditionFailed(ApiError):
    """412: somebody else has saved it since; nothing was changed. Read it again, and make the change on that."""

    @property
    def current_version(self) -> int | None:
        """The version that it is in."""
        return self._number("current_version")


class BodyTooLarge(ApiError):
    """413."""


class UnsupportedMediaType(ApiError):
    """415."""


class RangeNotSatisfiable(ApiError):
    """416."""


class IdempotencyMismatch(Unprocessable):
    """The Idempotency-Key was used with another body. A new logical call needs a new key."""


class OutsideCallingWindow(Unprocessable):
    """It is outside the callee's calling hours."""

    @property
    def next_allowed_at(self) -> str | None:
        """The next instant at which the number may be called (RFC 3339, UTC)."""
        return self._text("next_allowed_at")


class RateLimited(TooManyRequests):
    """Over the key's limit of requests."""


class ConcurrencyLimitReached(TooManyRequests):
    """As many calls as the workspace may have are live; `when_limited="queue"` waits for a place."""


class InternalError(ServerError):
    """500: a defect of the server."""


class DatabaseUnavailable(ServerError):
    """503: the server can't reach its database."""


_PROSE = {"type", "title", "status", "detail", "instance", "code", "errors", "request_id"}


def _extras(problem: Problem) -> dict[str, Any]:
    members = problem.model_dump(exclude_unset=True)
    return {name: value for name, value in members.items() if name not in _PROSE}


def _message(problem: Problem, request_id: str | None) -> str:
    lines = [problem.detail or problem.title]
    lines.extend(
        f"  {fault.pointer or 'request'}: {fault.detail} ({fault.code})"
        for fault in problem.errors or ()
        if fault.detail != problem.detail
    )
    named = (
        f", request {request_id or problem.request_id}" if request_id or problem.request_id else ""
    )
    lines[0] = f"{lines[0]} [{problem.status} {problem.code}{named}]"
    return "\n".join(lines)
