"""Calls of the real `run_call` on simulated lines, against a server that writes everything down.

Audio runs at real time, so the calls of a module run side by side: each is a scenario (an async function), all begin at
once, and each test waits for its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
from livekit.agents.testing import fake_job_context
from livekit.agents.utils import http_context
from tests.server.support.call_server import RecordingServer

from bolti_server.bootstrap.worker import build_line
from bolti_server.simulated.line import SimulatedLine
from bolti_server.voice.call import run_call
from bolti_server.voice.models import Models
from bolti_server.worker_api.messages import CallSpec

MAX_SIDE_BY_SIDE = 7
CALL_SECONDS = 60.0


@attrs.frozen
class Call:
    """One that runs or has run. Await `over` for its end."""

    server: RecordingServer
    line: SimulatedLine
    over: asyncio.Task[None]


class OpenLine(SimulatedLine):
    """As a room's: an agent may leave, and the callee stays."""

    was_left = was_hung_up = False

    async def leave(self) -> bool:
        self.was_left = True
        await super().hangup()
        return True

    async def hangup(self) -> None:
        self.was_hung_up = True
        await super().hangup()


class Stage:
    """Places calls; each gets a folder of its own for its recording."""

    def __init__(self, models: Models, folder: Path) -> None:
        self.models = models
        self._folder = folder
        self._count = 0

    def folder(self) -> Path:
        """A new one."""
        self._count += 1
        folder = self._folder / str(self._count)
        folder.mkdir(parents=True)
        return folder

    def server(self, tool: Any = None) -> RecordingServer:
        return RecordingServer(self.folder(), tool)

    def place(
        self, spec: CallSpec, server: RecordingServer | None = None, models: Models | None = None
    ) -> Call:
        """Begins a call."""
        server = server or self.server()
        line = build_line(spec)
        assert isinstance(line, SimulatedLine)
        over = asyncio.create_task(carry(spec, line, server, models or self.models))
        return Call(server, line, over)

    async def play(
        self, spec: CallSpec, server: RecordingServer | None = None, models: Models | None = None
    ) -> Call:
        """A whole call."""
        call = self.place(spec, server, models)
        await call.over
        return call


async def carry(
    spec: CallSpec, line: SimulatedLine, server: RecordingServer, models: Models
) -> None:
    with fake_job_context(job_id=spec.conversation_id) as context:
        try:
            async with http_context.open(), asyncio.timeout(CALL_SECONDS):
                await run_call(context, line, spec, server, models)
        finally:
            await context._on_cleanup()


Scenario = Callable[[Stage], Awaitable[Any]]


class SideBySide:
    """`await of(scenario)` gives what the scenario returned, or raises what it raised."""

    def __init__(self, stage: Stage, scenarios: list[Scenario]) -> None:
        self._places = asyncio.Semaphore(MAX_SIDE_BY_SIDE)
        self._tasks = {each: asyncio.create_task(self._play(each, stage)) for each in scenarios}

    async def _play(self, scenario: Scenario, stage: Stage) -> Any:
        async with self._places:
            return await scenario(stage)

    async def of(self, scenario: Scenario) -> Any:
        return await self._tasks[scenario]

    async def stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.wait(self._tasks.values())
