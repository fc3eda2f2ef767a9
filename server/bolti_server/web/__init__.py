"""What every route needs: keys, scopes, problems, request ids, strict bodies, idempotency, limits, pages.

A route is a plain Litestar function that names its operation of the contract. Before it runs, `web.admission` has
checked the key (401), ids in the path (404; `current` is the key's own workspace), the key's rate (429), query and
header parameters against the contract (400) and the scope (403). What is left for a route:

    from litestar import Request, Response, get, post
    from litestar.di import NamedDependency
    from litestar.handlers import HTTPRouteHandler
    from litestar.params import FromPath

    from bolti_server.base.db import Tx
    from bolti_server.base.errors import Refusal, combine, not_found
    from bolti_server.contract import structs
    from bolti_server.web.authentication import Caller
    from bolti_server.web.bodies import body_of, body_or_refusal
    from bolti_server.web.idempotency import Answer, idempotently
    from bolti_server.web.paging import page_of, page_request
    from bolti_server.web.parameters import query_of
    from bolti_server.web.responses import empty_response, json_response
    from bolti_server.world import World


    @get("/workspaces/{workspace_id:str}/agents/{agent_id:str}", operation_id="getAgent")
    async def get_agent(
        world: NamedDependency[World], caller: NamedDependency[Caller], agent_id: FromPath[str]
    ) -> Response[bytes]:
        async with world.db.transaction(is_readonly=True) as tx:
            agent = await reading.agent(tx, caller.workspace_id, agent_id)
        if agent is None:
            raise not_found("agent")
        return json_response(agent)


    @get("/workspaces/{workspace_id:str}/agents", operation_id="listAgents")
    async def list_agents(
        request: Request[Any, Any, Any], world: NamedDependency[World], caller: NamedDependency[Caller]
    ) -> Response[bytes]:
        page = page_request(request, id_prefix="agent")
        is_active = query_of(request).get("is_active")  # bool | None: typed by the contract, defaults filled in
        async with world.db.transaction(is_readonly=True) as tx:
            found = await queries.list_agents(
                tx, caller.workspace_id, limit=page.limit + 1, before_id=page.before_id, is_active=is_active
            )
        agents, cursor = page_of(found, page, lambda agent: agent.id)
        return json_response(structs.AgentPage(data=agents, next=cursor))


    @post("/workspaces/{workspace_id:str}/agents", operation_id="createAgent")
    async def create_agent(
        request: Request[Any, Any, Any], world: NamedDependency[World], caller: NamedDependency[Caller]
    ) -> Response[bytes]:
        body = await body_of(request, structs.AgentCreate)  # before the transaction: it waits for the network

        async def work(tx: Tx) -> Answer:
            made = await saving.create_agent(tx, world, caller.workspace_id, body)
            return Answer(201, made, {"Location": f"/workspaces/{caller.workspace_id}/agents/{made.id}"})

        return await idempotently(world, request, caller, work)


    ROUTES: list[HTTPRouteHandler] = [get_agent, list_agents, create_agent]

Rules for routes:

- The workspace is `caller.workspace_id`, never the one in the path (which may be `current`).
- A refusal is raised (`base.errors.Refusal`); `web.problems` makes the answer. A path's resource that is missing with
  a bad body is 404 before 400: `body_or_refusal` gives the refusal to be listed by `combine` with the others.
- 204 is `empty_response()`; a stream is Litestar's `Stream`; headers such as Request-Id and RateLimit come by
  themselves (`web.edge`).
- Type hints of dependencies, path parameters and bodies are read by Litestar when the app is built, so they are
  imported for real, never under TYPE_CHECKING.
- A route without an operation of the contract (`/internal/…`) has no `operation_id`; nothing is checked for it, and it
  may ask for `world` only. It sets `request_max_body_size=` where a body may exceed 1 MiB.
"""
