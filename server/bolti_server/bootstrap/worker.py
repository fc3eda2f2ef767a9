"""An agent worker: claims calls, carries each in a task of its own, and delivers what they report.

Rules: the worker that can't reach its server keeps trying and says so once. Stopping means: no new calls, live ones
finish within the grace, then each says goodbye; what the server has not taken by then stays on disk, and the next worker
on this machine delivers it. Simulated lines live in this process; where there is a LiveKit (LIVEKIT_URL), calls in rooms
run beside them in processes of their own (`bootstrap.room_worker`), and what a killed one leaves is delivered at once.
"""

from __future__ import annotations

import asyncio
import os
import socket
import uuid
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import httpx2
from livekit.agents.testing import fake_job_context
from livekit.agents.utils import http_context

from bolti_server.base.logging import get_logger
from bolti_server.bootstrap.call_models import build_models, warm
from bolti_server.bootstrap.room_worker import RoomWorker
from bolti_server.bootstrap.worker_settings import Stopping, WorkerSettings
from bolti_server.lines.line import CallLine
from bolti_server.simulated import models as simulated
from bolti_server.simulated.line import SimulatedLine
from bolti_server.voice.call import run_call
from bolti_server.voice.models import Models
from bolti_server.voice.text_call import run_text_call
from bolti_server.voice.text_models import text_model
from bolti_server.worker_api.client import CallClient, WorkerClient, carry_on
from bolti_server.worker_api.connection import Backoff
from bolti_server.worker_api.errors import CallLost, NotAuthorized, ServerUnreachable
from bolti_server.worker_api.messages import CallSpec, Claimed, EndReport
from bolti_server.worker_api.spool import SpoolTaken, left_behind

ADOPT_EVERY_SECONDS = 0.25  # a killed call's callee hears nothing until the server knows of it
# After a claim that brought text calls: where there are many, the next brings several at once.
GATHER_TEXT_SECONDS = 0.03
ALIVE_EVERY_SECONDS = 10.0
GOODBYE_SECONDS = 25.0  # for the farewell and for closing the session
DELIVER_SECONDS = 3.0

log = get_logger("worker")


async def run_worker(
    settings: WorkerSettings,
    stopping: Stopping,
    transport: httpx2.AsyncBaseTransport | None = None,
) -> None:
    """Runs until it is told to stop and has drained. `transport` replaces the network in tests."""
    client = WorkerClient(settings.internal_url, settings.worker_token, transport)
    models = build_models()
    try:
        await simulated.start_voices()
        await warm(models.vad)
        log.info("worker_ready", server=settings.internal_url, capacity=settings.worker_capacity)
        await Worker(settings, client, models).run(stopping)
    finally:
        await client.aclose()
        await simulated.stop_voices()


def build_line(spec: CallSpec) -> CallLine:
    """The telephone side that the spec names."""
    is_modem = spec.tts.provider == "simulated" and spec.tts.voice == "modem"
    return SimulatedLine(
        spec.line,
        ring_timeout_seconds=spec.ring_timeout_seconds,
        voice="modem" if is_modem else "speech",
    )


async def carry(client: CallClient, spec: CallSpec, models: Models) -> None:
    """One simulated call, in a job's context of its own."""
    with fake_job_context(job_id=f"{spec.conversation_id}.{spec.epoch}") as context:
        try:
            async with http_context.open():
                await run_call(context, build_line(spec), spec, client, models)
        finally:
            await context._on_cleanup()  # noqa: SLF001 - what the framework does at a job's end: drops its folder


async def carry_text(client: CallClient, spec: CallSpec, models: Models) -> None:
    """One call on a text line, which needs no more of the models than the one that thinks."""
    async with http_context.open():
        await run_text_call(spec, client, lambda: text_model(spec, models))


class Worker:
    """Claims until told to stop, then drains."""

    def __init__(self, settings: WorkerSettings, client: WorkerClient, models: Models) -> None:
        self._settings = settings
        self._client = client
        self._models = models
        self._id = f"worker_{uuid.uuid4().hex}"
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._live: dict[asyncio.Task[None], CallClient] = {}
        self._text_calls: set[asyncio.Task[None]] = set()  # those of the live ones
        self._deliveries: set[asyncio.Task[None]] = set()
        self._place_freed = asyncio.Event()
        self._rooms = RoomWorker(settings, self._audio_calls) if settings.livekit_url else None

    async def run(self, stopping: Stopping) -> None:
        """Returns when it was told to stop, the calls are over and what could be delivered is delivered."""
        claim = asyncio.create_task(self._claim_for_ever(), name="claim")
        adopt = asyncio.create_task(self._adopt_for_ever(), name="adopt")
        loops = [claim, adopt]
        if self._rooms is not None:
            loops.append(asyncio.create_task(self._rooms.run(), name="rooms"))
        try:
            stop = asyncio.create_task(stopping.wait())
            await asyncio.wait({stop, *loops}, return_when=asyncio.FIRST_COMPLETED)
            for loop in loops:
                if loop.done():
                    loop.result()  # a bug of ours: the process dies of it and is started again
        finally:
            claim.cancel()
            await self._drain(stopping)
            for loop in loops:
                loop.cancel()
            await asyncio.wait(loops)
            await self._deliver_rest()

    def _audio_calls(self) -> int:
        return len(self._live) - len(self._text_calls)

    async def _claim_for_ever(self) -> None:
        backoff = Backoff()
        is_outage_logged = False
        while True:
            in_rooms = 0 if self._rooms is None else self._rooms.calls
            free = self._settings.worker_capacity - self._audio_calls() - in_rooms
            text_free = self._settings.worker_text_capacity - len(self._text_calls)
            if free <= 0 and text_free <= 0:
                await self._wait_for_place()
            rooms = None if self._rooms is None else self._rooms.state
            try:
                claimed = await self._client.claim(
                    self._id, self._name, max(0, free), max(0, text_free), rooms
                )
            except (ServerUnreachable, NotAuthorized, CallLost) as problem:
                if not is_outage_logged:
                    log.warning("cannot_claim", reason=type(problem).__name__, detail=str(problem))
                is_outage_logged = True
                await asyncio.sleep(backoff.next_seconds())
                continue
            if is_outage_logged:
                log.info("claiming_again")
            is_outage_logged = False
            backoff.reset()
            for each in claimed:
                self._begin(each)
            if any(each.spec is not None for each in claimed):
                await asyncio.sleep(GATHER_TEXT_SECONDS)

    async def _wait_for_place(self) -> None:
        """At most so long that a full worker still says in time that it is alive."""
        self._place_freed.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._place_freed.wait(), ALIVE_EVERY_SECONDS)

    def _begin(self, claimed: Claimed) -> None:
        try:
            client = self._client.call(claimed, self._settings.spool_root)
        except SpoolTaken as problem:
            log.warning(
                "claim_skipped", conversation_id=claimed.conversation_id, detail=str(problem)
            )
            return
        client.start()
        task = asyncio.create_task(self._carry(client, claimed), name=claimed.conversation_id)
        self._live[task] = client
        if claimed.spec is not None and claimed.spec.line.is_text:
            self._text_calls.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        client = self._live.pop(task)
        self._text_calls.discard(task)
        self._place_freed.set()
        self._deliver(client)

    async def _carry(self, client: CallClient, claimed: Claimed) -> None:
        try:
            spec = claimed.spec or await client.spec()
        except (ServerUnreachable, NotAuthorized, CallLost) as problem:
            ended = EndReport(code="agent_lost", detail=f"No spec: {problem}"[:300])
            client.report("ended", ended=ended)
            return
        try:
            if spec.line.is_text:
                await carry_text(client, spec, self._models)
            else:
                await carry(client, spec, self._models)
        except Exception:
            log.exception("call_broke", conversation_id=claimed.conversation_id)

    def _deliver(self, client: CallClient) -> None:
        task = asyncio.create_task(self._logged(client.deliver_rest()))
        self._deliveries.add(task)
        task.add_done_callback(self._deliveries.discard)

    async def _logged(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:
            log.exception("delivery_broke")

    async def _adopt_for_ever(self) -> None:
        """What a killed worker left on this machine's disk; again and again, since it may die while this one lives."""
        while True:
            self._adopt()
            await asyncio.sleep(ADOPT_EVERY_SECONDS)

    def _adopt(self) -> None:
        for spool in left_behind(self._settings.spool_root):
            log.info("call_adopted", conversation_id=spool.call.conversation_id)
            self._deliver(carry_on(self._client.connection, spool))

    async def _drain(self, stopping: Stopping) -> None:
        if self._rooms is None:
            await self._drain_own(stopping)
            return
        await asyncio.gather(self._drain_own(stopping), self._rooms.drain(stopping))
        await self._rooms.aclose()

    async def _drain_own(self, stopping: Stopping) -> None:
        if self._live:
            log.info("draining", calls=len(self._live))
            enough = asyncio.create_task(stopping.wait_for_end_of_grace())
            while self._live and not enough.done():
                await asyncio.wait({enough, *self._live}, return_when=asyncio.FIRST_COMPLETED)
            enough.cancel()
        for client in self._live.values():
            client.drain()
        if self._live:
            await asyncio.wait(set(self._live), timeout=GOODBYE_SECONDS)
        for task in self._live:
            task.cancel()
        if self._live:
            await asyncio.wait(set(self._live), timeout=GOODBYE_SECONDS)

    async def _deliver_rest(self) -> None:
        self._adopt()  # what the last calls in rooms have left
        await asyncio.sleep(0)  # the calls that have just ended begin their deliveries
        if self._deliveries:
            await asyncio.wait(set(self._deliveries), timeout=DELIVER_SECONDS)
        for task in self._deliveries:
            task.cancel()
        if self._deliveries:
            await asyncio.wait(set(self._deliveries))
