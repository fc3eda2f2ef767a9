"""The built-in tools that do something with the telephone itself: hang up, press keys, hand the call over.

Rules: what the agent says before is spoken to its end, and a word of the callee does not stop it; where nothing comes of it
the model gets the reason and the call goes on. Whom a call may be handed to the server decides, by the agent's targets
and the same gate as every dial: a model that obeys the callee can't choose a number.
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from typing import Any

from livekit.agents import RunContext, ToolError, function_tool, llm

from bolti_server.lines.line import CallLine, TransferFailed
from bolti_server.voice.ending import Ending
from bolti_server.voice.patience import TRANSFER_PATIENCE_SECONDS, with_words
from bolti_server.voice.server import CallServer
from bolti_server.voice.speaking import Speaker
from bolti_server.voice.turns import Turns
from bolti_server.worker_api.messages import ToolCallReport, ToolSpec

Arguments = dict[str, object]
MOST_KEYS = 64
_KEYS = re.compile(rf"[0-9*#A-Dw]{{1,{MOST_KEYS}}}")
GATE_SECONDS = 10.0  # for the server's answer whom a call may be handed to
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
            raise _refused(turns, spec, raw_arguments, NOTHING_PRESSED)
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
    spec: ToolSpec,
    server: CallServer,
    turns: Turns,
    ending: Ending,
    line: CallLine,
    speaker: Speaker,
) -> llm.RawFunctionTool[Any, Any]:
    """Ends the call with `transferred`, where somebody takes it. While it rings there, the callee is not left in silence."""

    async def call(raw_arguments: Arguments, context: RunContext[Any]) -> None:
        context.disallow_interruptions()
        began = time.monotonic()
        await context.wait_for_playout()
        answer = await server.call_tool(
            f"call_{uuid.uuid4().hex}", spec.name, raw_arguments, GATE_SECONDS
        )
        if answer.is_error or not isinstance(answer.result, dict):
            raise _refused(turns, spec, raw_arguments, words_of(answer.result))
        transfer = asyncio.create_task(line.transfer(str(answer.result["to_number"])))
        try:
            await with_words(transfer, speaker, TRANSFER_PATIENCE_SECONDS)
        except TransferFailed as failure:
            raise _refused(turns, spec, raw_arguments, why_not_transferred(failure)) from failure
        finally:
            transfer.cancel()
        turns.tool_called(
            ToolCallReport(
                name=spec.name,
                arguments=raw_arguments,
                result=answer.result,
                duration_ms=_ms_since(began),
            )
        )
        ending.decide("transferred", transferred_to(raw_arguments))

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


def transferred_to(arguments: Arguments) -> str:
    """The end's detail."""
    return f"To {arguments.get('target')}."[:300]


def schema_of(spec: ToolSpec) -> dict[str, Any]:
    """As the session wants it."""
    return {"name": spec.name, "description": spec.description, "parameters": spec.parameters}


def _refused(turns: Turns, spec: ToolSpec, arguments: Arguments, words: str) -> ToolError:
    turns.tool_called(refusal(spec.name, arguments, words))
    return ToolError(words)


def refusal(name: str, arguments: Arguments, words: str) -> ToolCallReport:
    """Nothing came of a tool; `words` is what the model is told."""
    return ToolCallReport(name=name, arguments=arguments, result={"error": words}, is_error=True)


def why_not_transferred(failure: TransferFailed) -> str:
    """For the model: the call goes on."""
    said = f" {failure.detail}" if failure.detail else ""
    return (
        f"Nobody took the call ({failure.code}).{said} You are still talking with the same person."
    )


def words_of(result: object) -> str:
    """What the server said of a tool that it did not run."""
    if isinstance(result, dict) and "error" in result:
        return str(result["error"])
    return str(result)


def _ms_since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
