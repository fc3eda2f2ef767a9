"""Calls of the real `run_text_call`, against a server that writes everything down."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.server.support.call_server import RecordingServer, ToolFunction

from bolti_server.voice.text_call import run_text_call
from bolti_server.voice.text_models import RuleModel, TextModel
from bolti_server.worker_api.messages import CallSpec

CALL_SECONDS = 10.0  # of real time, of which a text call with a simulated model takes milliseconds


async def by_text(
    spec: CallSpec, *, tool: ToolFunction | None = None, model: TextModel | None = None
) -> RecordingServer:
    """A whole call on a text line."""
    server = RecordingServer(Path("/nonexistent"), tool)  # a text call records nothing

    async def make() -> TextModel:
        return model or RuleModel(spec)

    async with asyncio.timeout(CALL_SECONDS):
        await run_text_call(spec, server, make)
    return server
