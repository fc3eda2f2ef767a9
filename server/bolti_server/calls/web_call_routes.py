"""The route of calls in a browser."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from bolti_server.base.db import Tx
from bolti_server.calls.placing import Asking
from bolti_server.calls.web_calls import start_web_call
from bolti_server.contract import structs
from bolti_server.web.authentication import Caller
from bolti_server.web.bodies import body_or_refusal
from bolti_server.web.idempotency import Answer, idempotently
from bolti_server.world import World


@post("/workspaces/{workspace_id:str}/agents/{agent_id:str}/web-call", operation_id="startWebCall")
async def start(
    request: Request[Any, Any, Any],
    world: NamedDependency[World],
    caller: NamedDependency[Caller],
    agent_id: FromPath[str],
) -> Response[bytes]:
    wanted = await body_or_refusal(request, structs.WebCallRequest)
    asking = Asking(
        workspace_id=caller.workspace_id,
        organization_id=caller.organization_id,
        agent_id=agent_id,
        has_rooms=world.media is not None,
        idempotency_key=request.headers.get("idempotency-key"),
    )

    async def work(tx: Tx) -> Answer:
        call = await start_web_call(tx, world, asking, wanted)
        location = f"/workspaces/{caller.workspace_id}/conversations/{call.conversation_id}"
        return Answer(201, call, {"Location": location})

    return await idempotently(world, request, caller, work)


ROUTES: list[HTTPRouteHandler] = [start]
