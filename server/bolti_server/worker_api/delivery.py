"""Delivers one call's spool to the server: reports in order, then the recording, then the folder is removed.

Rules: one delivery per call, one request at a time, so that reports arrive in order. It goes on for as long as the
server can't be reached; what is not delivered when the worker stops is delivered by the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from bolti_server.base.logging import get_logger
from bolti_server.worker_api.connection import Backoff, Connection
from bolti_server.worker_api.errors import CallLost, NotAuthorized, ServerUnreachable
from bolti_server.worker_api.messages import RecordingAnswer, Reports, ReportsAnswer
from bolti_server.worker_api.report_log import ReportLog

RECORDING_SECONDS = 60.0  # for one upload: at 18 kB/s of recording, an hour is 65 MB

log = get_logger("delivery")


class Delivery:
    """`lost` is set when the server says that another owns the call; `done` when nothing is left to deliver.

    `hold_seconds`: reports wait so long for others that go with them, or for the end of the call.
    """

    def __init__(
        self, connection: Connection, spool: ReportLog, *, hold_seconds: float = 0.0
    ) -> None:
        self._connection = connection
        self._spool = spool
        self._hold_seconds = hold_seconds
        self._path = f"/internal/conversations/{spool.call.conversation_id}"
        self._backoff = Backoff()
        self._is_outage_logged = False
        self._changed = asyncio.Event()
        self._is_call_over = False
        self.lost = asyncio.Event()
        self.done = asyncio.Event()

    def wake(self) -> None:
        """A report was appended."""
        self._changed.set()

    def call_is_over(self) -> None:
        """No report follows, and the recording, if there is one, is complete."""
        self._is_call_over = True
        self._changed.set()

    async def run(self) -> None:
        """Ends when all is delivered, or given up because the server refuses it. Cancelling leaves the spool as it is."""
        try:
            while True:
                await self._until(self._has_work)
                await self._hold()
                await self._retrying(self._send_reports)
                if self._is_call_over and (self._spool.is_acknowledged or self.lost.is_set()):
                    break
            recording = self._spool.recording_file
            if recording is not None and recording.exists():
                await self._retrying(lambda: self._send_recording(recording))
            self._spool.remove()
        finally:
            self._spool.close()
        self.done.set()

    def _has_work(self) -> bool:
        return self._is_call_over or not (self._spool.is_acknowledged or self.lost.is_set())

    async def _hold(self) -> None:
        if self._hold_seconds == 0 or self._is_call_over:
            return
        try:
            async with asyncio.timeout(self._hold_seconds):
                await self._until(lambda: self._is_call_over)
        except TimeoutError:
            return

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._changed.clear()
            await self._changed.wait()

    async def _retrying(self, send: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await send()
            except ServerUnreachable as problem:
                if not self._is_outage_logged:
                    log.warning("server_unreachable", detail=str(problem), path=self._path)
                self._is_outage_logged = True
                await asyncio.sleep(self._backoff.next_seconds())
                continue
            self._backoff.reset()
            self._is_outage_logged = False
            return

    async def _send_reports(self) -> None:
        while not (self._spool.is_acknowledged or self.lost.is_set()):
            reports = Reports(epoch=self._spool.call.epoch, reports=self._spool.pending())
            before = self._spool.acknowledged
            try:
                answer = await self._connection.post(
                    f"{self._path}/reports", reports, ReportsAnswer, token=self._spool.call.token
                )
            except (CallLost, NotAuthorized) as problem:
                log.warning(
                    "call_lost",
                    conversation_id=self._spool.call.conversation_id,
                    detail=str(problem),
                )
                self.lost.set()
                return
            self._spool.acknowledge(answer.applied_through)
            if answer.wanted is not None:
                self._spool.rewind(answer.wanted)
            if self._spool.acknowledged <= before:
                raise ServerUnreachable(f"the server took none of the reports after {before}")

    async def _send_recording(self, file: Path) -> None:
        content = await asyncio.to_thread(file.read_bytes)
        if not content:
            return
        try:
            await self._connection.put_bytes(
                f"{self._path}/recording",
                content,
                RecordingAnswer,
                token=self._spool.call.token,
                content_type="audio/ogg",
                params=self._recording_params(),
                timeout_seconds=RECORDING_SECONDS,
            )
        except (CallLost, NotAuthorized) as problem:
            log.warning(
                "recording_refused",
                conversation_id=self._spool.call.conversation_id,
                detail=str(problem),
            )

    def _recording_params(self) -> dict[str, int]:
        params = {"epoch": self._spool.call.epoch}
        age_ms = self._spool.recording_age_ms()
        return params if age_ms is None else {**params, "age_ms": age_ms}
