"""The agent's tools, as the session calls them.

Rules: the worker itself runs only what is done with the telephone (`phone_tools`); everything else is asked of the server,
which sends the request and keeps the secrets. The model always gets an answer, and the callee always hears something:
where an answer takes long the agent says so (`patience`).
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from typing import Any

from livekit.agents import RunContext, ToolError, function_tool, llm

from bolti_server.lines.line import CallLine
from bolti_server.voice import phone_tools, transfer_tool
from bolti_server.voice.ending import Ending
from bolti_server.voice.handover import Handover
from bolti_server.voice.patience import with_words
from bolti_server.voice.phone_tools import Arguments, schema_of
from bolti_server.voice.server import CallServer
from bolti_server.voice.speaking import Speaker
from bolti_server.voice.turns import Turns
from bolti_server.worker_api.messages import ToolAnswer, ToolCallReport, ToolSpec

_ON_THE_SERVER = frozenset({"schedule_callback"})


def tools_of(
    specs: list[ToolSpec],
    server: CallServer,
    turns: Turns,
    ending: Ending,
    line: CallLine,
    speaker: Speaker,
    handover: Handover,
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
            tools.append(
                transfer_tool.transfer_call(spec, server, turns, ending, line, speaker, handover)
            )
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
            answer = await with_words(asked, speaker)
        except asyncio.CancelledError:
            asked.cancel()
            ms = round((time.monotonic() - began) * 1000)
            turns.tool_called(not_waited_for(spec.name, raw_arguments, ms))
            raise
        turns.tool_called(answered(spec.name, raw_arguments, answer))
        text = text_for_model(answer)
        if answer.is_error:
            raise ToolError(text)
        return text

    return function_tool(call, raw_schema=schema_of(spec))


def answered(name: str, arguments: Arguments, answer: ToolAnswer) -> ToolCallReport:
    """A tool that the server ran."""
    return ToolCallReport(
        name=name,
        arguments=arguments,
        result=answer.result,
        is_error=answer.is_error,
        duration_ms=answer.duration_ms,
    )


def not_waited_for(name: str, arguments: Arguments, ms: int) -> ToolCallReport:
    """A tool whose answer came too late for anybody, after `ms`."""
    return ToolCallReport(
        name=name,
        arguments=arguments,
        result={"error": "Not waited for: the other side spoke or the call ended."},
        is_error=True,
        duration_ms=ms,
    )


def text_for_model(answer: ToolAnswer) -> str:
    return answer.result if isinstance(answer.result, str) else json.dumps(answer.result)
