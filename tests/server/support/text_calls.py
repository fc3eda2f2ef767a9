"""Calls of the real `run_text_call`, against a server that writes everything down."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.server.support.call_server import RecordingServer, ToolFunction
from tests.server.support.call_specs import CHECK_DAY, CUT_CALL, call_spec, with_script

from bolti_server.agents.specs import SEND_DTMF
from bolti_server.voice.text_call import run_text_call
from bolti_server.voice.text_models import Reply, RuleModel, TextModel, ToolCall
from bolti_server.worker_api.messages import CallSpec, ToolSpec, UsageReport

CALL_SECONDS = 10.0  # of real time, of which a text call with a simulated model takes milliseconds
VENDOR_SECONDS = 60.0  # one that is real takes its time, above all to fail


# Words that can be talked into, and whoever does it.
LONG = "This is a sentence that takes its time, and whoever wants to can easily talk into it here."
OVER = "say: Sorry, let me stop you there for a moment please."
TRANSFER = ToolSpec(name="transfer_call", description="", parameters={}, is_built_in=True)


class Scripted:
    """A model that does what each of `steps` says, in order; the last again and again."""

    def __init__(self, *steps: Reply) -> None:
        self.history: list[str] = []
        self._steps = list(steps)
        self.asked = 0

    def heard(self, text: str) -> None:
        self.history.append(f"heard {text}")

    def said(self, text: str) -> None:
        self.history.append(f"said {text}")

    def answered(self, call: ToolCall, result: str, *, is_error: bool) -> None:
        self.history.append(f"{call.name}: {result}")

    async def reply(self) -> Reply:
        self.asked += 1
        return self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]

    def usage(self) -> list[UsageReport]:
        return []


async def by_text(
    spec: CallSpec,
    *,
    tool: ToolFunction | None = None,
    model: TextModel | None = None,
    make: Callable[[], Awaitable[TextModel]] | None = None,
) -> RecordingServer:
    """A whole call on a text line; with the rules of `spec` where no other model is given."""
    server = RecordingServer(Path("/nonexistent"), tool)  # a text call records nothing

    async def given() -> TextModel:
        return model or RuleModel(spec)

    async with asyncio.timeout(CALL_SECONDS if make is None else VENDOR_SECONDS):
        await run_text_call(spec, server, make or given)
    return server


def says(words: str, *calls: ToolCall, first_token_ms: int = 0) -> Reply:
    """What a scripted model answers."""
    return Reply(words, calls, first_token_ms)


async def heard_by_text(spec: CallSpec, *replies: Reply, **more: Any) -> RecordingServer:
    """A whole call of an agent whose model answers so, the last again and again."""
    return await by_text(spec, model=Scripted(*replies), **more)


def scripted(*steps: str, **changes: Any) -> CallSpec:
    """A call to somebody who answers and does that, by an agent that has all kinds of tools."""
    defaults: dict[str, Any] = {
        "greeting": "Hello.",
        "tools": [CUT_CALL, CHECK_DAY, SEND_DTMF, TRANSFER],
        "max_duration_seconds": 60,
    }
    return with_script(call_spec(**{**defaults, **changes}), *steps)


def agent_words(server: RecordingServer) -> list[str]:
    return [text for role, text in server.words if role == "agent"]
