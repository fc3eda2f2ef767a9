"""The agent's tools, as the session calls them.

Rules: the worker itself runs only what is done with the telephone (`phone_tools`); everything else is asked of the server,
which sends the request and keeps the secrets. The model always gets an answer, and the callee always hears something:
where an answer takes longer than PATIENCE_SECONDS the agent says so.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from typing import Any

from livekit.agents import RunContext, ToolError, function_tool, llm

from bolti_server.lines.line import CallLine
from bolti_server.voice import phone_tools
from bolti_server.voice.ending import Ending
from bolti_server.voice.phone_tools import Arguments, schema_of
from bolti_server.voice.server import CallServer
from bolti_server.voice.speaking import Speaker
from bolti_server.voice.turns import Turns
from bolti_server.worker_api.messages import ToolAnswer, ToolCallReport, ToolSpec

PATIENCE_SECONDS = 2.0
MORE_PATIENCE_SECONDS = 8.0  # and again after each so many
_ON_THE_SERVER = frozenset({"schedule_callback"})


def tools_of(
    specs: list[ToolSpec],
    server: CallServer,
    turns: Turns,
    ending: Ending,
    line: CallLine,
    speaker: Speaker,
) -> list[llm.Tool | llm.Toolset]:
    """A built-in tool that this version does not know is left out: the model can't call what it does not see."""
    tools: list[llm.Tool | llm.Toolset] = []
    for spec in specs:
        if not spec.is_built_in or spec.name in _ON_THE_SERVER:
            tools.append(_server_tool(spec, server, turns, speaker))
        elif spec.name == "cut_call":
            tools.append(phone_tools.cut_call(spec, turns, ending))
        elif spec.name == "send_dtmf":
            tools.append(phone_tools.send_dtmf(spec, turns, line))
        elif spec.name == "transfer_call":
            tools.append(phone_tools.transfer_call(spec, server, turns, ending, line))
    return tools


def _server_tool(
    spec: ToolSpec, server: CallServer, turns: Turns, speaker: Speaker
) -> llm.RawFunctionTool[Any, Any]:
    async def call(raw_arguments: Arguments, context: RunContext[Any]) -> str:
        tool_call_id = f"call_{uuid.uuid4().hex}"
        began = time.monotonic()
        asked = asyncio.ensure_future(
            server.call_tool(tool_call_id, spec.name, raw_arguments, spec.timeout_ms / 1000)
        )
        try:
            answer = await _with_words(asked, speaker)
        except asyncio.CancelledError:
            asked.cancel()
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

    return function_tool(call, raw_schema=schema_of(spec))


async def _with_words(asked: asyncio.Future[ToolAnswer], speaker: Speaker) -> ToolAnswer:
    """The answer; while it does not come, the agent asks for a moment, and another."""
    patience = PATIENCE_SECONDS
    while True:
        done, _ = await asyncio.wait({asked}, timeout=patience)
        if done:
            return asked.result()
        speaker.ask_for_a_moment()
        patience = MORE_PATIENCE_SECONDS
