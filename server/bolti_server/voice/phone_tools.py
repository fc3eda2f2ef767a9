"""The built-in tools that do something with the telephone itself: hang up, press keys. Handing it over is `transfer_tool`.

Rules: what the agent says before is spoken to its end, and a word of the callee does not stop it; where nothing comes of it
the model gets the reason and the call goes on.
"""

from __future__ import annotations

import re
import time
from typing import Any

from livekit.agents import RunContext, ToolError, function_tool, llm

from bolti_server.lines.line import CallLine
from bolti_server.voice.ending import Ending
from bolti_server.voice.turns import Turns
from bolti_server.worker_api.messages import ToolCallReport, ToolSpec

Arguments = dict[str, object]
MOST_KEYS = 64
_KEYS = re.compile(rf"[0-9*#A-Dw]{{1,{MOST_KEYS}}}")
NOTHING_PRESSED = (
    f"Nothing was pressed: digits are 1 to {MOST_KEYS} of 0-9, *, #, A-D, and w for a pause."
)


def cut_call(spec: ToolSpec, turns: Turns, ending: Ending) -> llm.RawFunctionTool[Any, Any]:
    """Ends the call with `agent_hangup` after the goodbye."""

    async def call(raw_arguments: Arguments, context: RunContext[Any]) -> None:
        # From here on a word of the callee does not stop the goodbye; and no answer of the model is wanted.
        context.disallow_interruptions()
        turns.tool_called(ToolCallReport(name=spec.name, arguments=raw_arguments))
        await context.wait_for_playout()
        ending.decide("agent_hangup", reason_of(raw_arguments))

    return function_tool(call, raw_schema=schema_of(spec))


def send_dtmf(spec: ToolSpec, turns: Turns, line: CallLine) -> llm.RawFunctionTool[Any, Any]:
    """Presses keys. No answer of the model is wanted: a menu speaks next, and would not be heard."""

    async def call(raw_arguments: Arguments, context: RunContext[Any]) -> None:
        digits = keys_of(str(raw_arguments.get("digits", "")))
        if digits is None:
            raise refused(turns, spec, raw_arguments, NOTHING_PRESSED)
        began = time.monotonic()
        await context.wait_for_playout()
        await line.send_dtmf(digits)
        turns.tool_called(
            ToolCallReport(
                name=spec.name,
                arguments=raw_arguments,
                result={"sent": digits},
                duration_ms=ms_since(began),
            )
        )
        turns.keys_sent(digits)

    return function_tool(call, raw_schema=schema_of(spec))


def keys_of(digits: str) -> str | None:
    """The keys as a line takes them; None where something else is among them. Spaces and dashes are left out."""
    keys = re.sub(r"[\s-]", "", digits)
    keys = "".join("w" if key in "wW" else key.upper() for key in keys)
    return keys if _KEYS.fullmatch(keys) and set(keys) != {"w"} else None


def reason_of(arguments: Arguments) -> str | None:
    """Why the agent hangs up, as the model says it: the end's detail."""
    reason = arguments.get("reason")
    return str(reason)[:300] if reason else None


def schema_of(spec: ToolSpec) -> dict[str, Any]:
    """As the session wants it."""
    return {"name": spec.name, "description": spec.description, "parameters": spec.parameters}


def refused(turns: Turns, spec: ToolSpec, arguments: Arguments, words: str) -> ToolError:
    turns.tool_called(refusal(spec.name, arguments, words))
    return ToolError(words)


def refusal(name: str, arguments: Arguments, words: str) -> ToolCallReport:
    """Nothing came of a tool; `words` is what the model is told."""
    return ToolCallReport(name=name, arguments=arguments, result={"error": words}, is_error=True)


def words_of(result: object) -> str:
    """What the server said of a tool that it did not run."""
    if isinstance(result, dict) and "error" in result:
        return str(result["error"])
    return str(result)


def ms_since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
