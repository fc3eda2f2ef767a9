"""Which exception a problem of the API is: by its code, else by its status.

A test compares the table with the contract's `ProblemCode`.
"""

from __future__ import annotations

from bolti._errors import (
    AgentInactive,
    ApiError,
    BadRequest,
    BodyTooLarge,
    CalleeAlreadyInCall,
    ConcurrencyLimitReached,
    Conflict,
    DatabaseUnavailable,
    DestinationNotAllowed,
    DoNotCall,
    Forbidden,
    IdempotencyInProgress,
    IdempotencyMismatch,
    InsufficientScope,
    InternalError,
    InvalidPhoneNumber,
    MalformedJson,
    MediaServerMissing,
    MethodNotAllowed,
    MissingVariables,
    NameTaken,
    NotAcceptable,
    NotFound,
    NumberNotAssigned,
    NumberNotAvailable,
    NumberTaken,
    OriginNotAllowed,
    OutsideCallingWindow,
    PaymentRequired,
    PreconditionFailed,
    RangeNotSatisfiable,
    RateLimited,
    RecordingNotAvailable,
    ServerError,
    TooManyRequests,
    TrunkFull,
    TrunkInUse,
    TrunkNotChangeable,
    Unauthenticated,
    Unprocessable,
    UnsupportedMediaType,
    ValidationFailed,
)

BY_CODE: dict[str, type[ApiError]] = {
    "unauthenticated": Unauthenticated,
    "insufficient_scope": InsufficientScope,
    "not_found": NotFound,
    "validation_failed": ValidationFailed,
    "malformed_json": MalformedJson,
    "missing_variables": MissingVariables,
    "invalid_phone_number": InvalidPhoneNumber,
    "number_not_assigned": NumberNotAssigned,
    "destination_not_allowed": DestinationNotAllowed,
    "do_not_call": DoNotCall,
    "recording_not_available": RecordingNotAvailable,
    "method_not_allowed": MethodNotAllowed,
    "not_acceptable": NotAcceptable,
    "agent_inactive": AgentInactive,
    "media_server_missing": MediaServerMissing,
    "origin_not_allowed": OriginNotAllowed,
    "callee_already_in_call": CalleeAlreadyInCall,
    "idempotency_in_progress": IdempotencyInProgress,
    "idempotency_mismatch": IdempotencyMismatch,
    "name_taken": NameTaken,
    "number_not_available": NumberNotAvailable,
    "number_taken": NumberTaken,
    "trunk_in_use": TrunkInUse,
    "trunk_full": TrunkFull,
    "trunk_not_changeable": TrunkNotChangeable,
    "precondition_failed": PreconditionFailed,
    "range_not_satisfiable": RangeNotSatisfiable,
    "body_too_large": BodyTooLarge,
    "unsupported_media_type": UnsupportedMediaType,
    "payment_required": PaymentRequired,
    "outside_calling_window": OutsideCallingWindow,
    "rate_limited": RateLimited,
    "concurrency_limit_reached": ConcurrencyLimitReached,
    "internal_error": InternalError,
    "database_unavailable": DatabaseUnavailable,
}

BY_STATUS: dict[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthenticated,
    402: PaymentRequired,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    406: NotAcceptable,
    409: Conflict,
    412: PreconditionFailed,
    413: BodyTooLarge,
    415: UnsupportedMediaType,
    416: RangeNotSatisfiable,
    422: Unprocessable,
    429: TooManyRequests,
}


def class_for(code: str, status: int) -> type[ApiError]:
    """The class of a code; of its status where the code is new to this version."""
    return (
        BY_CODE.get(code) or BY_STATUS.get(status) or (ServerError if status >= 500 else ApiError)
    )
