"""Sending a tool's request, for an LLM in a call and for the Test endpoint: one code path.

Rules: a problem is an answer that the LLM can act on, never an exception, because the callee is waiting on the line;
what the schema does not allow is not sent; no transaction is open while the service is asked; a secret is in the
request and nowhere else, also where the service echoes it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from bolti_server.agents import reading_tools, tool_records
from bolti_server.agents.tool_answers import Result, failed, result_of
from bolti_server.agents.tool_authorization import Authorization
from bolti_server.agents.tool_queries import StoredTool
from bolti_server.agents.tool_requests import (
    HttpTool,
    ToolHttpRequest,
    ToolProblem,
    Values,
    build,
    values_of,
)
from bolti_server.agents.tool_schemas import argument_errors
from bolti_server.agents.variables import Value
from bolti_server.base.crypto import Undecryptable
from bolti_server.base.http import GuardedHttp, HttpAnswer, HttpFailed
from bolti_server.base.logging import get_logger
from bolti_server.worker_api.messages import ToolAnswer
from bolti_server.world import World

MAX_ANSWER_BYTES = 1_000_000

log = get_logger("tools")

_WORDS = {
    "forbidden_address": "The tool's address is not public, so it is not asked. Tell the operator of this agent.",
    "dns": "The service's host name can't be found.",
    "connect": "The service can't be reached.",
    "tls": "No secure connection to the service could be made.",
    "protocol": "The service gave no proper HTTP answer.",
}


@attrs.frozen
class ToolContext:
    """What a tool call may use of its conversation: the tools of its agent's version, and all variables by name,
    the built-in ones included."""

    conversation_id: str
    tool_ids: Sequence[str]
    variables: Mapping[str, Value]


@attrs.frozen
class Exchange:
    """What was sent, what came (None: nothing, and `result` says why), and what the LLM gets."""

    request: ToolHttpRequest
    answer: HttpAnswer | None
    result: Result
    duration_ms: int


async def call_tool(
    world: World,
    workspace_id: str,
    context: ToolContext,
    name: str,
    arguments: Mapping[str, Any],
) -> ToolAnswer:
    """What the LLM gets for its tool call. Sent at most once; the caller makes repeats safe.

    Raises nothing but what the database raises. Call it without an open transaction.
    """
    began = time.monotonic()
    async with world.db.transaction(is_readonly=True) as tx:
        stored = await reading_tools.tool_named(tx, workspace_id, context.tool_ids, name)
    if stored is None:
        return _answer(failed(f"There is no tool called {name[:100]!r}. Go on without it."), began)
    try:
        exchange = await _call(world, stored, arguments, context.variables)
    except _NotSent as problem:
        return _answer(failed(str(problem)), began)
    log.info(
        "tool_called",
        conversation_id=context.conversation_id,
        tool_id=stored.id,
        status=None if exchange.answer is None else exchange.answer.status,
        is_error=exchange.result.is_error,
        duration_ms=exchange.duration_ms,
    )
    return ToolAnswer(
        result=exchange.result.value,
        is_error=exchange.result.is_error,
        duration_ms=exchange.duration_ms,
    )


async def exchange(
    http: GuardedHttp,
    tool: HttpTool,
    authorization: Authorization,
    values: Values,
    *,
    unix_time: int,
) -> Exchange:
    """Builds the request, sends it once within the tool's timeout and reads the answer.

    Raises ToolProblem where the values leave no request to send. Nothing else.
    """
    request = build(tool, authorization, values, unix_time=unix_time)
    began = time.monotonic()
    try:
        answer = await http.send(
            request.method,
            request.url,
            headers=request.headers,
            body=request.body,
            timeout_seconds=tool.timeout_ms / 1000,
            max_response_bytes=MAX_ANSWER_BYTES,
        )
    except HttpFailed as failure:
        result = failed(_words_of(failure, tool))
        return Exchange(request, None, result, _milliseconds_since(began))
    return Exchange(request, answer, _read(tool, authorization, answer), answer.duration_ms)


class _NotSent(Exception):
    """Why no request could be made, in words for an LLM."""


async def _call(
    world: World,
    stored: StoredTool,
    arguments: Mapping[str, Any],
    variables: Mapping[str, Value],
) -> Exchange:
    tool = tool_records.http_tool(stored.name, tool_records.configuration_of(stored))
    errors = argument_errors(tool.input_schema, arguments)
    if errors:
        raise _NotSent("The arguments do not fit, so nothing was sent. " + "; ".join(errors))
    try:
        authorization = tool_records.unseal(world.vault, stored)
    except Undecryptable as error:
        log.error("tool_secret_unreadable", tool_id=stored.id, problem=str(error))
        raise _NotSent("The tool's credentials can't be read. Go on without this tool.") from error
    try:
        return await exchange(
            world.http,
            tool,
            authorization,
            values_of(tool, arguments, variables),
            unix_time=int(world.clock.now().timestamp()),
        )
    except ToolProblem as problem:
        raise _NotSent(f"Nothing was sent. {problem}") from problem


def _read(tool: HttpTool, authorization: Authorization, answer: HttpAnswer) -> Result:
    if answer.is_truncated and tool.response_mapping:
        return failed(f"The service's answer is larger than {MAX_ANSWER_BYTES} bytes.")
    text = answer.body.decode("utf-8", errors="replace")
    location = next((value for name, value in answer.headers if name.lower() == "location"), None)
    return result_of(
        answer.status,
        None if location is None else authorization.mask(location),
        authorization.mask(text).encode(),
        tool.response_mapping,
    )


def _words_of(failure: HttpFailed, tool: HttpTool) -> str:
    if failure.reason == "timeout":
        return f"The service did not answer within {tool.timeout_ms / 1000:g} s."
    return _WORDS.get(failure.reason, "The service can't be reached.")


def _answer(result: Result, began: float) -> ToolAnswer:
    return ToolAnswer(
        result=result.value, is_error=result.is_error, duration_ms=_milliseconds_since(began)
    )


def _milliseconds_since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
