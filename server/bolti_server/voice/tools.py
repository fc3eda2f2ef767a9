"""The agent's tools, as the session calls them.

Rules: the worker runs nothing but `cut_call` itself; a workspace's tool is asked of the server, which sends the request
and keeps the secrets. The model always gets an answer. `cut_call` lets the goodbye be spoken to its end.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from typing import Any

from livekit.agents import RunContext, ToolError, function_tool, llm

from bolti_server.voice.ending import Ending
from bolti_server.voice.server import CallServer
from bolti_server.voice.turns import Turns
from bolti_server.worker_api.messages import ToolCallReport, ToolSpec

Arguments = dict[str, object]


def tools_of(
    specs: list[ToolSpec], server: CallServer, turns: Turns, ending: Ending
) -> list[llm.Tool | llm.Toolset]:
    """A built-in tool that this version does not know is left out: the model can't call what it does not see."""
    tools: list[llm.Tool | llm.Toolset] = []
    for spec in specs:
        if not spec.is_built_in:
            tools.append(_server_tool(spec, server, turns))
        elif spec.name == "cut_call":
            tools.append(_cut_call(spec, turns, ending))
    return tools


def _cut_call(spec: ToolSpec, turns: Turns, ending: Ending) -> llm.RawFunctionTool[Any, Any]:
    async def cut_call(raw_arguments: Arguments, context: RunContext[Any]) -> None:
        # From here on a word of the callee does not stop the goodbye; and no answer of the model is wanted.
        context.disallow_interruptions()
        turns.tool_called(ToolCallReport(name=spec.name, arguments=raw_arguments))
        await context.wait_for_playout()
        reason = raw_arguments.get("reason")
        ending.decide("agent_hangup", str(reason)[:300] if reason else None)

    return function_tool(cut_call, raw_schema=_schema(spec))


def _server_tool(spec: ToolSpec, server: CallServer, turns: Turns) -> llm.RawFunctionTool[Any, Any]:
    async def call(raw_arguments: Arguments, context: RunContext[Any]) -> str:
        tool_call_id = f"call_{uuid.uuid4().hex}"
        began = time.monotonic()
        try:
            answer = await server.call_tool(
                tool_call_id, spec.name, raw_arguments, spec.timeout_ms / 1000
            )
        except asyncio.CancelledError:
            turns.tool_called(
                ToolCallReport(
                    name=spec.name,
                    arguments=raw_arguments,
                    result={"error": "Not waited for: the other side spoke or the call ended."},
                    is_error=True,
                    duration_ms=round((time.monotonic() - began) * 1000),
                )
            )
            raise
        turns.tool_called(
            ToolCallReport(
                name=spec.name,
                arguments=raw_arguments,
                result=answer.result,
                is_error=answer.is_error,
                duration_ms=answer.duration_ms,
            )
        )
        text = answer.result if isinstance(answer.result, str) else json.dumps(answer.result)
        if answer.is_error:
            raise ToolError(text)
        return text

    return function_tool(call, raw_schema=_schema(spec))


def _schema(spec: ToolSpec) -> dict[str, Any]:
    return {"name": spec.name, "description": spec.description, "parameters": spec.parameters}
