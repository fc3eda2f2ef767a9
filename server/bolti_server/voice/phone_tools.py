"""The built-in tools that do something with the telephone itself: hang up, press keys, hand the call over.

Rules: what the agent says before is spoken to its end, and a word of the callee does not stop it; where nothing comes of it
the model gets the reason and the call goes on. Whom a call may be handed to the server decides, by the agent's targets
and the same gate as every dial: a model that obeys the callee can't choose a number.
"""

from __future__ import annotations

import re
import time
import uuid
from typing import Any

from livekit.agents import RunContext, ToolError, function_tool, llm

from bolti_server.lines.line import CallLine, TransferFailed
from bolti_server.voice.ending import Ending
from bolti_server.voice.server import CallServer
from bolti_server.voice.turns import Turns
from bolti_server.worker_api.messages import ToolCallReport, ToolSpec

Arguments = dict[str, object]
MOST_KEYS = 64
_KEYS = re.compile(rf"[0-9*#A-Dw]{{1,{MOST_KEYS}}}")
_GATE_SECONDS = 10.0


def cut_call(spec: ToolSpec, turns: Turns, ending: Ending) -> llm.RawFunctionTool[Any, Any]:
    """Ends the call with `agent_hangup` after the goodbye."""

    async def call(raw_arguments: Arguments, context: RunContext[Any]) -> None:
        # From here on a word of the callee does not stop the goodbye; and no answer of the model is wanted.
        context.disallow_interruptions()
        turns.tool_called(ToolCallReport(name=spec.name, arguments=raw_arguments))
        await context.wait_for_playout()
        reason = raw_arguments.get("reason")
        ending.decide("agent_hangup", str(reason)[:300] if reason else None)

    return function_tool(call, raw_schema=schema_of(spec))


def send_dtmf(spec: ToolSpec, turns: Turns, line: CallLine) -> llm.RawFunctionTool[Any, Any]:
    """Presses keys. No answer of the model is wanted: a menu speaks next, and would not be heard."""

    async def call(raw_arguments: Arguments, context: RunContext[Any]) -> None:
        digits = keys_of(str(raw_arguments.get("digits", "")))
        if digits is None:
            raise _refused(
                turns, spec, raw_arguments,
                f"Nothing was pressed: digits are 1 to {MOST_KEYS} of 0-9, *, #, A-D, and w for a pause.",
            )  # fmt: skip
        began = time.monotonic()
        await context.wait_for_playout()
        await line.send_dtmf(digits)
        turns.tool_called(
            ToolCallReport(
                name=spec.name,
                arguments=raw_arguments,
                result={"sent": digits},
                duration_ms=_ms_since(began),
            )
        )
        turns.keys_sent(digits)

    return function_tool(call, raw_schema=schema_of(spec))


def transfer_call(
    spec: ToolSpec, server: CallServer, turns: Turns, ending: Ending, line: CallLine
) -> llm.RawFunctionTool[Any, Any]:
    """Ends the call with `transferred`, where somebody takes it."""

    async def call(raw_arguments: Arguments, context: RunContext[Any]) -> None:
        context.disallow_interruptions()
        began = time.monotonic()
        await context.wait_for_playout()
        answer = await server.call_tool(
            f"call_{uuid.uuid4().hex}", spec.name, raw_arguments, _GATE_SECONDS
        )
        if answer.is_error or not isinstance(answer.result, dict):
            raise _refused(turns, spec, raw_arguments, _words(answer.result))
        try:
            await line.transfer(str(answer.result["to_number"]))
        except TransferFailed as failure:
            raise _refused(turns, spec, raw_arguments, _why(failure)) from failure
        turns.tool_called(
            ToolCallReport(
                name=spec.name,
                arguments=raw_arguments,
                result=answer.result,
                duration_ms=_ms_since(began),
            )
        )
        ending.decide("transferred", f"To {raw_arguments.get('target')}."[:300])

    return function_tool(call, raw_schema=schema_of(spec))


def keys_of(digits: str) -> str | None:
    """The keys as a line takes them; None where something else is among them. Spaces and dashes are left out."""
    keys = re.sub(r"[\s-]", "", digits)
    keys = "".join("w" if key in "wW" else key.upper() for key in keys)
    return keys if _KEYS.fullmatch(keys) and set(keys) != {"w"} else None


def schema_of(spec: ToolSpec) -> dict[str, Any]:
    """As the session wants it."""
    return {"name": spec.name, "description": spec.description, "parameters": spec.parameters}


def _refused(turns: Turns, spec: ToolSpec, arguments: Arguments, words: str) -> ToolError:
    turns.tool_called(
        ToolCallReport(name=spec.name, arguments=arguments, result={"error": words}, is_error=True)
    )
    return ToolError(words)


def _why(failure: TransferFailed) -> str:
    said = f" {failure.detail}" if failure.detail else ""
    return (
        f"Nobody took the call ({failure.code}).{said} You are still talking with the same person."
    )


def _words(result: object) -> str:
    if isinstance(result, dict) and "error" in result:
        return str(result["error"])
    return str(result)


def _ms_since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
