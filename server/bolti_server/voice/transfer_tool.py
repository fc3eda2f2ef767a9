"""`transfer_call`: the call is handed over to somebody, cold or warm.

Rules: whom a call may be handed to, and how, the server decides, by the agent's targets and the same gate as every dial: a
model that obeys the callee can't choose a number. Cold: the provider connects the two and we are out. Warm: the other is
called into the call and introduced (`handover`). While it rings there the callee is not left in silence; where nobody takes
it the model gets the reason and the call goes on.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Coroutine
from typing import Any, TypeVar

from livekit.agents import RunContext, function_tool, llm

from bolti_server.lines.line import CallLine, Guest, GuestDial, TransferFailed
from bolti_server.voice.ending import Ending
from bolti_server.voice.handover import Handover
from bolti_server.voice.patience import TRANSFER_PATIENCE_SECONDS, with_words
from bolti_server.voice.phone_tools import Arguments, ms_since, refused, schema_of, words_of
from bolti_server.voice.phrases import Phrases
from bolti_server.voice.server import CallServer
from bolti_server.voice.speaking import Speaker
from bolti_server.voice.turns import Turns
from bolti_server.worker_api.errors import CallLost, ServerUnreachable
from bolti_server.worker_api.messages import ToolCallReport, ToolSpec

GATE_SECONDS = 10.0  # for the server's answer whom a call may be handed to
MOST_WORDS = 1_000  # characters of an introduction

Result = TypeVar("Result")


def transfer_call(
    spec: ToolSpec,
    server: CallServer,
    turns: Turns,
    ending: Ending,
    line: CallLine,
    speaker: Speaker,
    handover: Handover,
) -> llm.RawFunctionTool[Any, Any]:
    """The call ends with `transferred`: at once where it was cold, and when one of the two hangs up where it was warm."""

    async def call(raw_arguments: Arguments, context: RunContext[Any]) -> None:
        context.disallow_interruptions()
        began = time.monotonic()
        await context.wait_for_playout()
        tool_call_id = f"call_{uuid.uuid4().hex}"
        answer = await server.call_tool(tool_call_id, spec.name, raw_arguments, GATE_SECONDS)
        if answer.is_error or not isinstance(answer.result, dict):
            raise refused(turns, spec, raw_arguments, words_of(answer.result))
        number, guest = str(answer.result["to_number"]), None
        try:
            if answer.result.get("mode") == "warm":
                guest = await meanwhile(_bring_in(server, line, tool_call_id, number), speaker)
            else:
                await meanwhile(line.transfer(number), speaker)
            taken_ms = ms_since(began)
            if guest is not None:
                await handover.introduce(guest, introduction_of(raw_arguments, speaker.phrases))
        except TransferFailed as failure:
            raise refused(turns, spec, raw_arguments, why_not_transferred(failure)) from failure
        turns.tool_called(
            ToolCallReport(
                name=spec.name,
                arguments=raw_arguments,
                result=answer.result,
                duration_ms=taken_ms,
            )
        )
        detail = transferred_to(raw_arguments)
        if guest is None:
            ending.decide("transferred", detail)
        else:
            handover.begin(guest, detail)

    return function_tool(call, raw_schema=schema_of(spec))


async def meanwhile(work: Coroutine[Any, Any, Result], speaker: Speaker) -> Result:
    """What `work` comes to; the callee is asked for a moment where it takes long."""
    task = asyncio.create_task(work)
    try:
        return await with_words(task, speaker, TRANSFER_PATIENCE_SECONDS)
    finally:
        task.cancel()


async def _bring_in(server: CallServer, line: CallLine, tool_call_id: str, number: str) -> Guest:
    try:
        permit = await server.transfer_intent(tool_call_id)
    except CallLost as error:
        raise TransferFailed("unreachable", None, "They may not be called any more.") from error
    except ServerUnreachable as error:
        raise TransferFailed("unreachable", None, "Nobody could be asked for the way.") from error
    return await line.bring_in(GuestDial(number, permit.from_number, permit.trunk))


def introduction_of(arguments: Arguments, phrases: Phrases) -> str:
    """What whoever is called in hears first; a model may leave it out."""
    words = arguments.get("introduction")
    return words[:MOST_WORDS] if isinstance(words, str) and words.strip() else phrases.connected


def transferred_to(arguments: Arguments) -> str:
    """The end's detail."""
    return f"To {arguments.get('target')}."[:300]


def why_not_transferred(failure: TransferFailed) -> str:
    """For the model: the call goes on."""
    said = f" {failure.detail}" if failure.detail else ""
    return (
        f"Nobody took the call ({failure.code}).{said} You are still talking with the same person."
    )
