"""Every failure as `application/problem+json` (RFC 9457).

Rule: what we refuse is told in full and not logged; a database that can't be reached is 503 with `Retry-After`; anything
else is our bug: logged once, with the request's id, and answered without a word about our insides.
"""

from __future__ import annotations

from typing import Any

import asyncpg
import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, InternalServerException

from bolti_server.base.errors import Refusal
from bolti_server.base.logging import get_logger
from bolti_server.web.allowing import allow_value
from bolti_server.web.bodies import too_large
from bolti_server.web.request_ids import request_id_of
from bolti_server.web.responses import bytes_response

MEDIA_TYPE = "application/problem+json"
TYPE_BASE = "https://bolti.dev/problems/"

TITLES = {
    "unauthenticated": "No valid key",
    "insufficient_scope": "The key may not do this",
    "not_found": "Not found",
    "validation_failed": "The request is not valid",
    "malformed_json": "The body is not JSON",
    "missing_variables": "Variables are missing",
    "invalid_phone_number": "Not a phone number",
    "number_not_assigned": "Not a number of this agent",
    "destination_not_allowed": "This number may not be called",
    "do_not_call": "Does not want to be called",
    "recording_not_available": "There is no recording",
    "method_not_allowed": "Not a method of this path",
    "not_acceptable": "Not in that format",
    "agent_inactive": "The agent is inactive",
    "media_server_missing": "There is no media server",
    "origin_not_allowed": "Not from this origin",
    "callee_already_in_call": "Already in a call",
    "idempotency_in_progress": "Still running",
    "idempotency_mismatch": "The key was used for another request",
    "name_taken": "The name is taken",
    "number_not_available": "The number can't be bought",
    "number_taken": "The workspace has it already",
    "trunk_in_use": "The trunk is in use",
    "trunk_full": "No more numbers on this trunk",
    "trunk_not_changeable": "Not a trunk of yours",
    "precondition_failed": "Changed by somebody else",
    "range_not_satisfiable": "No such range",
    "body_too_large": "The body is too large",
    "unsupported_media_type": "Not a JSON body",
    "payment_required": "Not enough credit",
    "outside_calling_window": "Outside the calling hours",
    "rate_limited": "Too many requests",
    "concurrency_limit_reached": "Too many calls at one time",
    "internal_error": "Our fault",
    "database_unavailable": "Temporarily unavailable",
}

# What says "not now" of the database: unreachable, starting, stopping, out of connections or disk, a lock not given.
_UNAVAILABLE = (
    OSError,  # connection refused or reset; TimeoutError too
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
)

log = get_logger("web")


def problem_response(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """The answer to whatever was raised while a request was handled."""
    if isinstance(error, Refusal):
        return refusal_response(request, error)
    if isinstance(error, HTTPException) and error.status_code < 500:
        return refusal_response(request, _of_litestar(error))
    if isinstance(error, InternalServerException) and "disconnected" in error.detail:
        return refusal_response(
            request, Refusal(400, "malformed_json", "The body is not complete.")
        )
    if isinstance(error, _UNAVAILABLE):
        log.warning(
            "database_unavailable", error=repr(error), request_id=request_id_of(request.scope)
        )
        return refusal_response(request, _unavailable())
    log.error(
        "request_failed",
        exc_info=error,
        request_id=request_id_of(request.scope),
        method=request.method,
        operation=getattr(request.scope.get("route_handler"), "operation_id", None),
    )
    detail = "Something went wrong on our side. Tell us the Request-Id."
    return refusal_response(request, Refusal(500, "internal_error", detail))


def refusal_response(request: Request[Any, Any, Any], refusal: Refusal) -> Response[bytes]:
    faults = [
        {"pointer": fault.pointer, "detail": fault.detail, "code": fault.code}
        for fault in refusal.faults
    ]
    problem = {
        "type": TYPE_BASE + refusal.code,
        "title": TITLES.get(refusal.code) or refusal.code.replace("_", " ").capitalize(),
        "status": refusal.status,
        "detail": refusal.detail,
        "instance": request.scope.get("bolti_path", request.scope["path"]),
        "code": refusal.code,
        "errors": faults,
        "request_id": request_id_of(request.scope),
        **refusal.extras,
    }
    return bytes_response(
        msgspec.json.encode(problem), refusal.status, refusal.headers, media_type=MEDIA_TYPE
    )


def _of_litestar(error: HTTPException) -> Refusal:
    match error.status_code:
        case 404:
            detail = "There is nothing at this path. The reference is at /docs."
            return Refusal(404, "not_found", detail)
        case 405:
            allow = allow_value((error.headers or {}).get("allow", ""))
            detail = f"This path takes {allow}."
            return Refusal(405, "method_not_allowed", detail, headers={"Allow": allow})
        case 413:
            return too_large()
        case status:
            return Refusal(
                status if status == 400 else 400, "validation_failed", error.detail or "Not valid."
            )


def _unavailable() -> Refusal:
    return Refusal(
        503,
        "database_unavailable",
        "The server cannot reach its database. Try again in a second; with the same Idempotency-Key it is safe.",
        headers={"Retry-After": "1"},
    )
