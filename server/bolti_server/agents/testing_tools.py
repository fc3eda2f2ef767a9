"""The Test of a tool: the real request, over the same code as in a call, shown with its secrets masked."""

from __future__ import annotations

from bolti_server.agents import tool_queries, tool_records
from bolti_server.agents.calling import Exchange, exchange
from bolti_server.agents.tool_authorization import Authorization
from bolti_server.agents.tool_queries import StoredTool
from bolti_server.agents.tool_requests import HttpTool, ToolProblem, Values, values_of
from bolti_server.agents.tool_schemas import argument_errors
from bolti_server.agents.variables import BUILT_IN, tags
from bolti_server.base.errors import Fault, Refusal, not_found
from bolti_server.contract import structs
from bolti_server.web.bodies import validation_failed
from bolti_server.world import World

MAX_SHOWN_CHARACTERS = 100_000


async def find_tool(world: World, workspace_id: str, tool_id: str) -> StoredTool:
    """Raises Refusal 404."""
    async with world.db.transaction(is_readonly=True) as tx:
        stored = await tool_queries.find_tool(tx, workspace_id, tool_id)
    if stored is None:
        raise not_found("tool")
    return stored


async def test_tool(
    world: World, stored: StoredTool, body: structs.ToolTestRequest
) -> structs.ToolTestResult:
    """What was sent, what came and what the LLM would have got. Call it without an open transaction.

    Raises Refusal 400 where the arguments do not fit the schema or the values leave no request to send: in a call
    nothing is sent then either.
    """
    tool = tool_records.http_tool(stored.name, tool_records.configuration_of(stored))
    errors = argument_errors(tool.input_schema, body.arguments)
    if errors:
        raise validation_failed([Fault("invalid", error, "/arguments") for error in errors])
    authorization = tool_records.unseal(world.vault, stored)
    values = values_of(tool, body.arguments, body.variable_values)
    try:
        done = await exchange(
            world.http,
            tool,
            authorization,
            values,
            unix_time=int(world.clock.now().timestamp()),
        )
    except ToolProblem as problem:
        raise Refusal(
            400,
            "validation_failed",
            f"Nothing was sent. {problem}",
            faults=[Fault("invalid", str(problem), "/variable_values")],
        ) from problem
    return _result(tool, authorization, values, done)


def _result(
    tool: HttpTool, authorization: Authorization, values: Values, done: Exchange
) -> structs.ToolTestResult:
    body = done.request.body
    return structs.ToolTestResult(
        request=structs.ToolTestSentRequest(
            method=done.request.method,
            url=done.request.masked_url,
            headers=_headers(done.request.masked_headers),
            body=None if body is None else authorization.mask(_text(body)),
        ),
        variables=_variables(tool, values),
        response=_response(authorization, done),
        result=done.result.value,
        is_error=done.result.is_error,
        duration_ms=done.duration_ms,
    )


def _response(authorization: Authorization, done: Exchange) -> structs.ToolTestResponse | None:
    if done.answer is None:
        return None
    headers = [(name, authorization.mask(value)) for name, value in done.answer.headers]
    return structs.ToolTestResponse(
        status=done.answer.status,
        headers=_headers(headers),
        body=authorization.mask(_text(done.answer.body)),
    )


def _variables(tool: HttpTool, values: Values) -> dict[str, object]:
    """All names that the templates could use; what has no value is the empty text."""
    texts = (tool.url, tool.body_template or "", *(value for _, value in tool.headers))
    named = {tag.name for text in texts for tag in tags(text)}
    return {**dict.fromkeys(sorted(named | BUILT_IN), ""), **values.all}


def _headers(
    pairs: tuple[tuple[str, str], ...] | list[tuple[str, str]],
) -> list[structs.HttpHeader]:
    return [structs.HttpHeader(name=name, value=value) for name, value in pairs]


def _text(body: bytes) -> str:
    return body.decode("utf-8", errors="replace").replace("\x00", "")[:MAX_SHOWN_CHARACTERS]
