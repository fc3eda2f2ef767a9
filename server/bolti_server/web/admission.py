"""What happens before a route of the contract runs: key, ids in the path, rate, parameters, scope.

Rule: 401 comes before 404, 404 before 400, 400 before 403; what is wrong with parameters, the missing scope and the wrong
origin are told together. An id that can't exist (wrong shape) answers like one that does not exist, and never reaches the
database.
"""

from __future__ import annotations

from typing import Any

from litestar import Request
from litestar.di import NamedDependency

from bolti_server.base.errors import Fault, Refusal, combine, not_found
from bolti_server.web.authentication import Authenticator, Caller
from bolti_server.web.bodies import validation_failed
from bolti_server.web.contract import Operation, load_contract
from bolti_server.web.origins import origin_refusal
from bolti_server.web.parameters import QUERY_KEY, header_faults, read_query
from bolti_server.web.rate_limits import RateLimiter
from bolti_server.web.recording_links import caller_of_link
from bolti_server.world import World

CALLER_KEY = "bolti_caller"
RATE_KEY = "bolti_rate"  # the value of the RateLimit header of this request
OWN = "current"


class Admission:
    """`check` is the app's before-request hook."""

    def __init__(self, world: World, authenticator: Authenticator, limiter: RateLimiter) -> None:
        self._world = world
        self._authenticator = authenticator
        self._limiter = limiter
        self._operations = load_contract().operations

    async def check(self, request: Request[Any, Any, Any]) -> None:
        """Leaves caller and query parameters in the scope. Raises Refusal 401, 404, 400, 403, 429."""
        operation = self._operations.get(getattr(request.route_handler, "operation_id", None) or "")
        if operation is None:
            return
        scope: dict[str, Any] = request.scope  # type: ignore[assignment]  # a TypedDict that knows no keys of ours
        query, faults = read_query(operation, scope["query_string"])
        if operation.headers:
            faults += header_faults(operation, request.headers)
        scope[QUERY_KEY] = query
        refusals: list[Refusal] = []
        if not operation.is_public:
            caller = await self._caller(operation, request, query)
            scope[CALLER_KEY] = caller
            scope[RATE_KEY], limited = self._limiter.take(
                caller.key_id or request.path_params["conversation_id"]
            )
            if limited is not None:
                raise limited
            _check_path(operation, request.path_params, caller)
            if operation.scope is not None and operation.scope not in caller.scopes:
                refusals.append(_insufficient(operation.scope))
            if caller.kind == "public":
                refusals += origin_refusal(caller.origins, request.headers.get("origin"))
        if faults:
            refusals.append(validation_failed(faults))
        if refusals:
            raise combine(refusals)

    async def _caller(
        self, operation: Operation, request: Request[Any, Any, Any], query: dict[str, Any]
    ) -> Caller:
        authorization = request.headers.get("authorization")
        if authorization is None and operation.takes_signed_link and "signature" in query:
            return caller_of_link(self._world, request.path_params, query)
        return await self._authenticator.caller_of(authorization)


def provide_caller(request: Request[Any, Any, Any], world: NamedDependency[World]) -> Caller:
    """The dependency `caller` of routes.

    It asks for `world` so that Litestar resolves the two one after the other: side by side means a task group and two
    tasks for each request (0.1 ms).
    """
    caller: Caller = request.scope[CALLER_KEY]  # type: ignore[literal-required]  # ours, set by `check`
    return caller


def _check_path(operation: Operation, path: dict[str, str], caller: Caller) -> None:
    for name, pattern in operation.path_patterns.items():
        value = path[name]
        if name == "workspace_id":
            if value not in (OWN, caller.workspace_id):
                raise not_found("workspace")
        elif pattern.fullmatch(value) is None:
            raise not_found(name.removesuffix("_id").replace("_", " ").replace("api", "API"))


def _insufficient(scope: str) -> Refusal:
    detail = f"This needs the scope {scope}. Make a key with it."
    return Refusal(
        403,
        "insufficient_scope",
        detail,
        faults=[Fault("insufficient_scope", detail)],
        extras={"required_scope": scope},
    )
