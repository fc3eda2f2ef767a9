"""The worker's side of the internal API: claiming calls, and everything that one call says to the server.

Rules: what can wait goes through the spool (reports, the recording), so that a server restart loses nothing; what
can't (the intent to dial, a tool's answer) is asked with a deadline. A call learns from the end of `commands()` that it
is not its own any more.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from bolti_server.base.logging import get_logger
from bolti_server.worker_api.connection import Backoff, Connection
from bolti_server.worker_api.delivery import Delivery
from bolti_server.worker_api.errors import CallLost, NotAuthorized, ServerUnreachable
from bolti_server.worker_api.messages import (
    CLAIM_WAIT_SECONDS,
    HEARTBEAT_WAIT_SECONDS,
    CallSpec,
    ClaimAnswer,
    Claimed,
    ClaimRequest,
    Command,
    CommandsAnswer,
    DialIntent,
    DialIntentAnswer,
    EndReport,
    InboundAnswer,
    InboundCall,
    ReportType,
    RoomWorker,
    SipTrunk,
    ToolAnswer,
    ToolCallReport,
    ToolRequest,
    TransferIntent,
    TransferIntentAnswer,
    TurnReport,
)
from bolti_server.worker_api.report_log import ReportLog, SpooledCall
from bolti_server.worker_api.spool import Spool

POLL_SLACK_SECONDS = 10.0  # a long poll that is not answered this long after its time is dead
ASK_SECONDS = 12.0  # for the spec and for the intent to dial, over all tries
# Most text calls are over before this: all that they report goes in one request.
HOLD_TEXT_SECONDS = 1.0
TOOL_SLACK_SECONDS = 5.0  # what the server may need around a tool's own time-out

log = get_logger("worker_api")

Answer = TypeVar("Answer")


class WorkerClient:
    """One per worker process. `transport` replaces the network in tests."""

    def __init__(
        self,
        base_url: str,
        worker_token: str,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.connection = Connection(base_url, transport)
        self._worker_token = worker_token

    async def aclose(self) -> None:
        await self.connection.aclose()

    async def claim(
        self,
        worker_id: str,
        name: str,
        capacity: int,
        text_capacity: int = 0,
        rooms: RoomWorker | None = None,
    ) -> list[Claimed]:
        """Waits up to CLAIM_WAIT_SECONDS for calls to carry, at most `capacity`, and `text_capacity` on text lines. Says by
        the way how this worker's part for rooms does.

        Empty: none came.

        Raises ServerUnreachable, NotAuthorized, CallLost (the server speaks another protocol).
        """
        answer = await self.connection.post(
            "/internal/claim",
            ClaimRequest(
                worker_id=worker_id,
                name=name,
                capacity=capacity,
                text_capacity=text_capacity,
                rooms=rooms,
            ),
            ClaimAnswer,
            token=self._worker_token,
            timeout_seconds=CLAIM_WAIT_SECONDS + POLL_SLACK_SECONDS,
        )
        return answer.claimed

    async def inbound(self, call: InboundCall) -> InboundAnswer:
        """Whose call it is that rings, or that it is to be refused; repeats itself where the server is not heard, for
        ASK_SECONDS, which is safe. Raises ServerUnreachable, NotAuthorized, CallLost."""
        return await insist(
            lambda: self.connection.post(
                "/internal/inbound", call, InboundAnswer, token=self._worker_token
            )
        )

    def call(self, claimed: Claimed, spool_root: Path) -> CallClient:
        """The client of a claimed call, with a spool under `spool_root`. Raises SpoolTaken."""
        call = SpooledCall(
            conversation_id=claimed.conversation_id, epoch=claimed.epoch, token=claimed.token
        )
        if claimed.spec is not None and claimed.spec.line.is_text:
            return CallClient(self.connection, ReportLog(call), hold_seconds=HOLD_TEXT_SECONDS)
        return CallClient(self.connection, Spool.create(spool_root, call))


class CallClient:
    """A `voice.server.CallServer`. Call `start()` once; the delivery of what it reports outlives the call itself."""

    def __init__(
        self, connection: Connection, spool: ReportLog, *, hold_seconds: float = 0.0
    ) -> None:
        self._connection = connection
        self._spool = spool
        self._call = spool.call
        self._path = f"/internal/conversations/{self._call.conversation_id}"
        self._nonce = secrets.token_urlsafe(16)
        self._delivery = Delivery(connection, spool, hold_seconds=hold_seconds)
        self._delivering: asyncio.Task[None] | None = None
        self._drain = asyncio.Event()

    def start(self) -> None:
        """Begins to deliver."""
        name = f"deliver {self._call.conversation_id}"
        self._delivering = asyncio.create_task(self._delivery.run(), name=name)

    async def deliver_rest(self) -> None:
        """After the call: returns when the server has everything. Cancelled, it leaves the rest in the spool."""
        assert self._delivering is not None, "start() comes first"
        self._delivery.call_is_over()
        await self._delivering

    async def spec(self) -> CallSpec:
        """What to say and how. Raises CallLost, or ServerUnreachable after ASK_SECONDS of trying."""
        return await insist(
            lambda: self._connection.get(f"{self._path}/spec", CallSpec, token=self._call.token)
        )

    async def dial_intent(self) -> SipTrunk | None:
        """Returns when this process may dial, once, with the trunk to dial by, where it needs one. Raises CallLost (another
        may), or ServerUnreachable: don't dial."""
        intent = DialIntent(epoch=self._call.epoch, nonce=self._nonce)
        answer = await insist(
            lambda: self._connection.post(
                f"{self._path}/dial-intent", intent, DialIntentAnswer, token=self._call.token
            )
        )
        return answer.trunk

    async def transfer_intent(self, tool_call_id: str) -> TransferIntentAnswer:
        """By what the target of a warm transfer may be called into the call. Raises CallLost, or ServerUnreachable."""
        intent = TransferIntent(epoch=self._call.epoch, tool_call_id=tool_call_id)
        return await insist(
            lambda: self._connection.post(
                f"{self._path}/transfer-intent",
                intent,
                TransferIntentAnswer,
                token=self._call.token,
            )
        )

    def report(
        self,
        report_type: ReportType,
        *,
        turn: TurnReport | None = None,
        tool_call: ToolCallReport | None = None,
        ended: EndReport | None = None,
        age_seconds: float = 0.0,
    ) -> None:
        """On disk when this returns; sent by itself, in order, until the server has it."""
        self._spool.append(
            report_type, turn=turn, tool_call=tool_call, ended=ended, age_seconds=age_seconds
        )
        self._delivery.wake()

    async def call_tool(
        self, tool_call_id: str, name: str, arguments: dict[str, Any], timeout_seconds: float
    ) -> ToolAnswer:
        """The tool's answer; one that says `is_error` where the server can't be reached in time. Never raises for that.

        A repeat carries the same `tool_call_id`, so the tool runs once.
        """
        request = ToolRequest(
            epoch=self._call.epoch, tool_call_id=tool_call_id, name=name, arguments=arguments
        )
        began = time.monotonic()
        limit = timeout_seconds + TOOL_SLACK_SECONDS
        try:
            return await insist(
                lambda: self._connection.post(
                    f"{self._path}/tools",
                    request,
                    ToolAnswer,
                    token=self._call.token,
                    timeout_seconds=limit,
                ),
                within_seconds=limit,
            )
        except (ServerUnreachable, CallLost, NotAuthorized) as problem:
            log.warning(
                "tool_not_called", conversation_id=self._call.conversation_id, detail=str(problem)
            )
            result = {"error": "The tool could not be reached. Go on without it."}
            passed_ms = round((time.monotonic() - began) * 1000)
            return ToolAnswer(result=result, is_error=True, duration_ms=passed_ms)

    async def commands(self) -> AsyncIterator[Command]:
        """The heartbeat: polls for as long as it is iterated. Ends when this call is not this worker's any more."""
        after = 0
        is_drain_told = False
        backoff = Backoff(most_seconds=2.0)
        while not self._delivery.lost.is_set():
            if self._drain.is_set() and not is_drain_told:
                is_drain_told = True
                yield Command(number=after, type="drain")
            try:
                answer = await self._poll(after, None if is_drain_told else self._drain)
            except ServerUnreachable:
                await asyncio.sleep(backoff.next_seconds())
                continue
            except (CallLost, NotAuthorized) as problem:
                log.warning(
                    "call_lost", conversation_id=self._call.conversation_id, detail=str(problem)
                )
                return
            if answer is None:  # something of this process was quicker than the server
                continue
            if answer.is_over:
                return
            backoff.reset()
            for command in answer.commands:
                after = max(after, command.number)
                yield command

    def drain(self) -> None:
        """This worker stops: the call gets the command to say goodbye. Safe to repeat."""
        self._drain.set()

    def recording_file(self) -> Path:
        assert self._spool.recording_file is not None, "a text call has no sound to record"
        return self._spool.recording_file

    async def _poll(self, after: int, drain: asyncio.Event | None) -> CommandsAnswer | None:
        """None: meanwhile the server refused a report, or this worker is told to stop."""
        poll = asyncio.create_task(
            self._connection.get(
                f"{self._path}/commands",
                CommandsAnswer,
                token=self._call.token,
                params={"epoch": self._call.epoch, "after": after},
                timeout_seconds=HEARTBEAT_WAIT_SECONDS + POLL_SLACK_SECONDS,
            )
        )
        others = [
            asyncio.create_task(event.wait()) for event in (self._delivery.lost, drain) if event
        ]
        try:
            await asyncio.wait({poll, *others}, return_when=asyncio.FIRST_COMPLETED)
            return poll.result() if poll.done() else None
        finally:
            for task in (poll, *others):
                task.cancel()


async def insist(
    ask: Callable[[], Awaitable[Answer]], within_seconds: float = ASK_SECONDS
) -> Answer:
    """The answer; asks again where the server is not reached. Raises ServerUnreachable after `within_seconds`."""
    backoff = Backoff(most_seconds=1.0)
    deadline = time.monotonic() + within_seconds
    while True:
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                return await ask()
        except TimeoutError:
            raise ServerUnreachable(f"no answer within {within_seconds:.0f} s") from None
        except ServerUnreachable:
            pause = backoff.next_seconds()
            if time.monotonic() + pause >= deadline:
                raise
            await asyncio.sleep(pause)


def carry_on(connection: Connection, spool: Spool) -> CallClient:
    """The client of a call whose worker died: it says so, and delivers what was left. Call `deliver_rest()` on it."""
    if not spool.is_ended:
        has_recording = spool.recording_file.exists() and spool.recording_file.stat().st_size > 0
        ended = EndReport(
            code="agent_lost",
            detail="The worker process that carried this call was killed.",
            has_recording=has_recording,
            is_line_open=True,
        )
        spool.append("ended", ended=ended)
    client = CallClient(connection, spool)
    client.start()
    return client
