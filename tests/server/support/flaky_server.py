"""A counterpart of the server's internal API that misbehaves on command. It keeps what it took, as the real one does."""

from __future__ import annotations

import asyncio

import httpx2
import msgspec

from bolti_server.worker_api.messages import (
    Command,
    CommandsAnswer,
    DialIntentAnswer,
    RecordingAnswer,
    Report,
    Reports,
    ReportsAnswer,
    ToolAnswer,
)


class FlakyServer(httpx2.AsyncBaseTransport):
    """`faults[path ending]` are taken one by one before the request is seen: a status, or a transport's exception."""

    def __init__(self) -> None:
        self.kept: list[Report] = []
        self.batches: list[list[int]] = []
        self.recordings: list[bytes] = []
        self.requests: list[str] = []
        self.faults: dict[str, list[int | type[Exception]]] = {}
        self.loses_answer_of: set[str] = set()  # does it, then breaks the connection once
        self.wants: int | None = None  # says once that this is missing
        self.is_over = False
        self.commands: asyncio.Queue[Command] = asyncio.Queue()
        self.authorization = ""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        end = request.url.path.rpartition("/")[2]
        self.requests.append(end)
        self.authorization = request.headers["authorization"]
        assert request.headers["bolti-worker-protocol"] == "1"
        await asyncio.sleep(0)
        if self.faults.get(end):
            fault = self.faults[end].pop(0)
            if isinstance(fault, int):
                return httpx2.Response(fault, text="no")
            raise fault("it broke")
        answer = await self._answer(end, request)
        if end in self.loses_answer_of:
            self.loses_answer_of.remove(end)
            raise httpx2.ReadError("the answer was lost")
        return httpx2.Response(200, content=msgspec.json.encode(answer))

    async def _answer(self, end: str, request: httpx2.Request) -> msgspec.Struct:
        match end:
            case "reports":
                return self._take(msgspec.json.decode(await request.aread(), type=Reports))
            case "recording":
                self.recordings.append(await request.aread())
                return RecordingAnswer(bytes=len(self.recordings[-1]))
            case "dial-intent":
                return DialIntentAnswer(answer="send")
            case "tools":
                return ToolAnswer(result="done", is_error=False, duration_ms=1)
            case "commands":
                if self.is_over:
                    return CommandsAnswer(commands=[], is_over=True)
                return CommandsAnswer(commands=[await self.commands.get()])
        raise AssertionError(end)

    def _take(self, reports: Reports) -> ReportsAnswer:
        self.batches.append([report.number for report in reports.reports])
        for report in reports.reports:
            if report.number == len(self.kept) + 1:
                self.kept.append(report)
        wanted, self.wants = self.wants, None
        if wanted is not None:
            del self.kept[wanted - 1 :]
        return ReportsAnswer(applied_through=len(self.kept), wanted=wanted)
