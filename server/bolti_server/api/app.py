"""The app: all slices' routes behind one edge, one admission, one way to fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler

from bolti_server.agents import routes as agents
from bolti_server.api import health, reference
from bolti_server.billing import routes as billing
from bolti_server.calls import callbacks, do_not_call_routes, web_call_routes, worker_routes
from bolti_server.calls import routes as calls
from bolti_server.numbers import routes as numbers
from bolti_server.web.admission import Admission, provide_caller
from bolti_server.web.authentication import Authenticator
from bolti_server.web.contract import BODY_LIMIT_BYTES
from bolti_server.web.cors import Cors
from bolti_server.web.edge import Api
from bolti_server.web.problems import problem_response
from bolti_server.web.rate_limits import RateLimiter, RatePolicy
from bolti_server.webhooks import routes as webhooks
from bolti_server.workspaces import routes as workspaces
from bolti_server.workspaces.keys import find_key, find_origin
from bolti_server.world import World

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]


ROUTES: tuple[HTTPRouteHandler, ...] = (
    *health.ROUTES,
    *reference.ROUTES,
    *workspaces.ROUTES,
    *billing.ROUTES,
    *webhooks.ROUTES,
    *agents.ROUTES,
    *numbers.ROUTES,
    *calls.ROUTES,
    *web_call_routes.ROUTES,
    *do_not_call_routes.ROUTES,
    *worker_routes.ROUTES,
    *callbacks.ROUTES,
)


def build_app(
    world: World, *, rate: RatePolicy | None = None, lifespan: Sequence[Lifespan] = ()
) -> Api:
    """The server as an ASGI app. `rate`: how many requests a key may make (the contract's, if left out)."""
    limiter = RateLimiter(rate or RatePolicy(), world.clock)
    admission = Admission(world, Authenticator(world, find_key), limiter)

    def provide_world() -> World:
        return world

    app = Api(
        route_handlers=ROUTES,
        dependencies={
            "world": Provide(provide_world, sync_to_thread=False),
            "caller": Provide(provide_caller, sync_to_thread=False),
        },
        before_request=admission.check,
        exception_handlers={Exception: problem_response},
        lifespan=list(lifespan),
        state=State({"world": world}),
        request_max_body_size=BODY_LIMIT_BYTES,
        openapi_config=None,  # the contract is written by hand
        logging_config=None,  # base.logging
        debug=False,
    )
    app.policy_header = limiter.policy_header
    app.cors = Cors(world, find_origin)
    return app
