"""A `voice.server.CallServer` that writes down what a call tells it, in order: the double at the process's boundary."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from bolti_server.worker_api.errors import CallLost
from bolti_server.worker_api.messages import (
    Command,
    EndReport,
    Report,
    ReportType,
    SipTrunk,
    ToolAnswer,
    ToolCallReport,
    TransferIntentAnswer,
    TurnReport,
)

ToolFunction = Callable[[str, dict[str, Any]], ToolAnswer]


class RecordingServer:
    """`send(command)` speaks to the call; `lose()` gives it to somebody else; `refuses_dial`: another holds the epoch."""

    def __init__(self, folder: Path, tool: ToolFunction | None = None) -> None:
        self.reports: list[Report] = []
        self.tool_calls: list[tuple[str, str, dict[str, Any], float]] = []
        self.dial_intents = 0
        self.refuses_dial = False
        self.trunk: SipTrunk | None = None
        self.dial_allowed = asyncio.Event()
        self.dial_allowed.set()
        self._folder = folder
        self._tool = tool
        self._commands: asyncio.Queue[Command | None] = asyncio.Queue()
        self._changed = asyncio.Event()

    async def dial_intent(self) -> SipTrunk | None:
        self.dial_intents += 1
        await self.dial_allowed.wait()
        if self.refuses_dial:
            raise CallLost("another epoch owns it")
        return self.trunk

    def report(
        self,
        report_type: ReportType,
        *,
        turn: TurnReport | None = None,
        tool_call: ToolCallReport | None = None,
        ended: EndReport | None = None,
        age_seconds: float = 0.0,
    ) -> None:
        self.reports.append(
            Report(
                number=len(self.reports) + 1,
                type=report_type,
                age_ms=round(age_seconds * 1000),
                turn=turn,
                tool_call=tool_call,
                ended=ended,
            )
        )
        self._changed.set()

    async def call_tool(
        self, tool_call_id: str, name: str, arguments: dict[str, Any], timeout_seconds: float
    ) -> ToolAnswer:
        self.tool_calls.append((tool_call_id, name, arguments, timeout_seconds))
        assert self._tool is not None, f"no tool was expected, but {name} was called"
        return self._tool(name, arguments)

    async def transfer_intent(self, tool_call_id: str) -> TransferIntentAnswer:
        assert tool_call_id == self.tool_calls[-1][0]
        if self.refuses_dial:
            raise CallLost("another epoch owns it")
        return TransferIntentAnswer(trunk=self.trunk, from_number="+12025550190")

    async def commands(self) -> AsyncIterator[Command]:
        while (command := await self._commands.get()) is not None:
            yield command

    def recording_file(self) -> Path:
        return self._folder / "recording.ogg"

    # ---- what a test does and sees ----

    def send(self, command: Command) -> None:
        self._commands.put_nowait(command)

    def lose(self) -> None:
        self._commands.put_nowait(None)

    async def wait_for(self, holds: Callable[[], bool], within_seconds: float = 20.0) -> None:
        """Returns as soon as `holds()` after some report."""
        async with asyncio.timeout(within_seconds):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    async def wait_for_report(self, report_type: ReportType, count: int = 1) -> None:
        await self.wait_for(lambda: self.types.count(report_type) >= count)

    @property
    def types(self) -> list[ReportType]:
        return [report.type for report in self.reports]

    @property
    def turns(self) -> list[TurnReport]:
        return [report.turn for report in self.reports if report.turn is not None]

    @property
    def words(self) -> list[tuple[str, str]]:
        return [(turn.role, turn.text) for turn in self.turns]

    @property
    def end(self) -> EndReport:
        """Of the one `ended`, which is the last report."""
        assert self.types.count("ended") == 1, self.types
        assert self.types[-1] == "ended", self.types
        ended = self.reports[-1].ended
        assert ended is not None
        return ended
