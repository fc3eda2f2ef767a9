"""From a refusal to the exception that tells it. Pure.

Rule: whatever answered (a proxy, another program on that port), the caller gets an ApiError with a code, and no text in it
holds the API key.
"""

from __future__ import annotations

import re

from pydantic import ValidationError

from bolti._configuration import Configuration
from bolti._error_codes import class_for
from bolti._errors import ApiError, UnexpectedAnswer
from bolti._models import Problem, ProblemFault

LONGEST_EXCERPT = 300


def problem_error(
    configuration: Configuration,
    *,
    status: int,
    body: bytes,
    content_type: str,
    request_id: str | None,
    location: str | None,
    retry_after_seconds: float | None,
) -> ApiError:
    """The exception for an answer that is not a success."""
    problem = _problem(status, body, content_type, location)
    hidden = configuration.api_key
    if hidden in problem.detail or any(hidden in fault.detail for fault in problem.errors or ()):
        problem = _without(problem, hidden)
    if status == 401:
        told = f"{problem.detail} The key came from {configuration.key_source}."
        problem = problem.model_copy(update={"detail": told})
    return class_for(problem.code, status)(
        problem, request_id=request_id, retry_after_seconds=retry_after_seconds
    )


def unexpected(
    error: ValidationError, operation: str, *, status: int, request_id: str | None
) -> UnexpectedAnswer:
    """For a success that can't be read: says where, and never what stood there (it may be personal)."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    place = ".".join(map(str, first["loc"])) or "the body"
    named = f", request {request_id}" if request_id else ""
    return UnexpectedAnswer(
        f"The answer to {operation} is not what this version of the client knows: {place}: {first['msg']} "
        f"[{status}{named}]. Is the base URL a Bolti server's? Is there a newer `bolti` package?",
        status=status,
        request_id=request_id,
    )


def _problem(status: int, body: bytes, content_type: str, location: str | None) -> Problem:
    if "json" in content_type:
        try:
            return Problem.model_validate_json(body).model_copy(update={"status": status})
        except ValidationError:
            pass  # JSON of somebody else: told like any other text
    if 300 <= status < 400:
        detail = (
            f"The server redirects to {location or 'somewhere else'}. Redirects are not followed, so that the key "
            "goes nowhere else: set the base URL to where the API is."
        )
    else:
        detail = _excerpt(body, content_type) or "The answer says nothing more."
        detail = f"No answer of the API but of something in between: {detail}"
    return Problem(
        type="about:blank",
        title=f"HTTP {status}",
        status=status,
        detail=detail,
        code=f"http_{status}",
    )


def _excerpt(body: bytes, content_type: str) -> str:
    text = body[:4096].decode("utf-8", "replace")
    if "html" in content_type:
        text = re.sub(r"<[^>]{0,500}>", " ", text)
    return " ".join(text.split())[:LONGEST_EXCERPT]


def _without(problem: Problem, hidden: str) -> Problem:
    faults: list[ProblemFault] = [
        fault.model_copy(update={"detail": fault.detail.replace(hidden, "bolti_sk_…")})
        for fault in problem.errors or ()
    ]
    detail = problem.detail.replace(hidden, "bolti_sk_…")
    return problem.model_copy(update={"detail": detail, "errors": faults})
