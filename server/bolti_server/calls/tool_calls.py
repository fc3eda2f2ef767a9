"""Tools of a call: the server sends the request, so that secrets never reach a worker.

Rules: a tool call has an id of its worker's making and is sent at most once; a repeat (its answer was lost) waits for the
first and gets its result. What was being sent when a server died stays unknown and is told so: a tool may have booked
the table. No transaction is open while a service is asked. A call makes at most MOST_TOOL_CALLS (and as many more as its
model asks for in one breath): a model that loops costs its owner's service no more than that.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from bolti_server.agents.calling import ToolContext, call_tool
from bolti_server.agents.reading import AgentForCall
from bolti_server.base.db import Tx, decode_json
from bolti_server.base.errors import Refusal
from bolti_server.calls import artifact_queries, built_in_tools, leases, long_polls
from bolti_server.calls import worker_queries as queries
from bolti_server.calls.spec import agent_of, values_of
from bolti_server.calls.worker_queries import LiveCall
from bolti_server.worker_api.messages import ToolAnswer, ToolRequest
from bolti_server.world import World

LONGEST_TOOL_SECONDS = 130.0  # the contract's longest time-out and a little
MOST_ID_CHARACTERS = 200
_LOOK_SECONDS = 0.25
MOST_TOOL_CALLS = 100
_TOO_MANY = ToolAnswer(
    result={
        "error": f"This call has made its {MOST_TOOL_CALLS} tool calls. Answer with what you know."
    },
    is_error=True,
    duration_ms=0,
)
_UNKNOWN = ToolAnswer(
    result={"error": "It is not known what came of this. Do not try it again."},
    is_error=True,
    duration_ms=0,
)


async def call_once(
    world: World, conversation_id: str, request: ToolRequest, *, gone: asyncio.Event
) -> ToolAnswer:
    """The result of this tool call, sent now or the first time. Raises Refusal 409 for a call that is over or lost."""
    if not 0 < len(request.tool_call_id) <= MOST_ID_CHARACTERS:
        raise Refusal(400, "validation_failed", "tool_call_id: Is 1 to 200 characters.")
    async with world.db.transaction() as tx:
        call = await queries.find_call_of_any_workspace(tx, conversation_id)
        if call is None or call.is_over:
            raise Refusal(409, "conversation_over", "The conversation is over: stop.")
        leases.check_epoch(call, request.epoch)
        agent = await agent_of(tx, call)
        count = await artifact_queries.count_tool_calls(tx, call.workspace_id, call.id)
        if count >= MOST_TOOL_CALLS and not await _is_known(tx, call, request):
            return _TOO_MANY
        is_first = await artifact_queries.begin_tool_call(
            tx,
            call.workspace_id,
            call.id,
            request.tool_call_id,
            epoch=request.epoch,
            name=request.name[:255],
            arguments=request.arguments,
        )
    if not is_first:
        return await _first_result(world, call.workspace_id, call.id, request, gone)
    if built_in_tools.is_built_in(agent, request.name):
        return await _do_ourselves(world, call, agent, request)
    context = ToolContext(
        conversation_id=call.id,
        tool_ids=agent.configuration.tool_ids,
        variables=values_of(call, agent),
    )
    answer = await call_tool(world, call.workspace_id, context, request.name, request.arguments)
    async with world.db.transaction() as tx:
        await artifact_queries.finish_tool_call(
            tx,
            call.workspace_id,
            call.id,
            request.tool_call_id,
            status="error" if answer.is_error else "done",
            result=answer.result,
            duration_ms=answer.duration_ms,
        )
        tx.wake(_topic(call.id))
    return answer


async def _do_ourselves(
    world: World, call: LiveCall, agent: AgentForCall, request: ToolRequest
) -> ToolAnswer:
    """What a built-in tool does and its result commit together; what is refused leaves nothing but the words."""
    began = time.monotonic()
    try:
        async with world.db.transaction() as tx:
            result = await built_in_tools.answer(tx, call, agent, request.name, request.arguments)
            return await _finish(tx, call, request, began, result, is_error=False)
    except Refusal as refusal:
        words = {"error": refusal.detail}
    async with world.db.transaction() as tx:
        return await _finish(tx, call, request, began, words, is_error=True)


async def _finish(
    tx: Tx,
    call: LiveCall,
    request: ToolRequest,
    began: float,
    result: dict[str, Any],
    *,
    is_error: bool,
) -> ToolAnswer:
    answer = ToolAnswer(
        result=result, is_error=is_error, duration_ms=round((time.monotonic() - began) * 1000)
    )
    await artifact_queries.finish_tool_call(
        tx,
        call.workspace_id,
        call.id,
        request.tool_call_id,
        status="error" if is_error else "done",
        result=answer.result,
        duration_ms=answer.duration_ms,
    )
    tx.wake(_topic(call.id))
    return answer


async def _is_known(tx: Tx, call: LiveCall, request: ToolRequest) -> bool:
    found = await artifact_queries.find_tool_call(
        tx, call.workspace_id, call.id, request.tool_call_id
    )
    return found is not None


async def _first_result(
    world: World,
    workspace_id: str,
    conversation_id: str,
    request: ToolRequest,
    gone: asyncio.Event,
) -> ToolAnswer:
    async def look() -> ToolAnswer | None:
        async with world.db.transaction(is_readonly=True) as tx:
            stored = await artifact_queries.find_tool_call(
                tx, workspace_id, conversation_id, request.tool_call_id
            )
        if stored is None or stored.duration_ms is None:
            return None
        return ToolAnswer(
            result=decode_json(stored.result),
            is_error=stored.status == "error",
            duration_ms=stored.duration_ms,
        )

    found = await long_polls.until_found(
        world,
        _topic(conversation_id),
        look,
        wait_seconds=LONGEST_TOOL_SECONDS,
        look_seconds=_LOOK_SECONDS,
        gone=gone,
    )
    return found or _UNKNOWN


def _topic(conversation_id: str) -> str:
    return f"tools:{conversation_id}"
