"""What a call needs of the server: the boundary of the worker's process. `worker_api.client.CallClient` implements it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

from bolti_server.worker_api.messages import (
    Command,
    EndReport,
    ReportType,
    SipTrunk,
    ToolAnswer,
    ToolCallReport,
    TransferIntentAnswer,
    TurnReport,
)


class CallServer(Protocol):
    async def dial_intent(self) -> SipTrunk | None:
        """Returns when this process may dial, once, and by which trunk, where the line needs one. Raises CallLost or
        ServerUnreachable: then nothing may be dialed."""
        ...

    def report(
        self,
        report_type: ReportType,
        *,
        turn: TurnReport | None = None,
        tool_call: ToolCallReport | None = None,
        ended: EndReport | None = None,
        age_seconds: float = 0.0,
    ) -> None:
        """Kept until the server has it; never waits. `age_seconds`: how long ago what it tells happened."""
        ...

    async def call_tool(
        self, tool_call_id: str, name: str, arguments: dict[str, Any], timeout_seconds: float
    ) -> ToolAnswer:
        """Runs a workspace's tool on the server. Where that fails the answer says so; it does not raise."""
        ...

    async def transfer_intent(self, tool_call_id: str) -> TransferIntentAnswer:
        """Of a `transfer_call` that was answered with mode warm: by what its target may be called into the call. Raises
        CallLost or ServerUnreachable: then nobody may be called."""
        ...

    def commands(self) -> AsyncIterator[Command]:
        """The heartbeat; iterate it for the whole call. It ends when the call is not this worker's any more."""
        ...

    def recording_file(self) -> Path:
        """Where to record to. What is there when the call is over is uploaded."""
        ...
