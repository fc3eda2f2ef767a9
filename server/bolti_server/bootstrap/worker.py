"""An agent worker: claims calls, carries each in a task of its own, and delivers what they report.

Rules: the worker that can't reach its server keeps trying and says so once. Stopping means: no new calls, live ones
finish within the grace, then each says goodbye; what the server has not taken by then stays on disk, and the next worker
on this machine delivers it. This file decides who is behind a provider's name.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
import uuid
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import httpx2
from livekit import rtc
from livekit.agents import inference, llm, vad
from livekit.agents.testing import fake_job_context
from livekit.agents.utils import http_context
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from bolti_server.base.logging import get_logger
from bolti_server.base.settings import LogFormat, LogLevel, default_data_dir
from bolti_server.lines.line import CallLine
from bolti_server.models import plugins
from bolti_server.models.unavailable import ModelUnavailable
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

ADOPT_EVERY_SECONDS = 5.0
# After a claim that brought text calls: where there are many, the next brings several at once.
GATHER_TEXT_SECONDS = 0.03
GOODBYE_SECONDS = 25.0  # for the farewell and for closing the session
DELIVER_SECONDS = 3.0
WARM_FRAME_SAMPLES = 320  # 20 ms at 16 kHz

log = get_logger("worker")


class WorkerSettings(BaseSettings):
    """`BOLTI_*` from the environment. `worker_parent_pid`: when it is gone, the worker finishes its calls and goes."""

    model_config = SettingsConfigDict(env_prefix="BOLTI_", frozen=True, extra="ignore")

    internal_url: str = "http://127.0.0.1:8000"
    worker_token: str = Field(repr=False)
    data_dir: Path = Field(default_factory=default_data_dir)
    worker_capacity: int = Field(default=10, ge=1, le=200)
    worker_text_capacity: int = Field(default=200, ge=0, le=1000)  # besides: text lines cost little
    worker_drain_seconds: float = Field(default=600.0, ge=0)  # at SIGTERM
    worker_parent_pid: int | None = None
    log_level: LogLevel = "info"
    log_format: LogFormat = "auto"

    @property
    def spool_root(self) -> Path:
        return self.data_dir / "worker" / "spool"


class Stopping:
    """How a worker is told to stop: no new calls, and the grace in which live ones may finish by themselves."""

    def __init__(self) -> None:
        self._told = asyncio.Event()
        self._ends_at = float("inf")  # of the grace, monotonic

    def stop(self, grace_seconds: float) -> None:
        """May be repeated with a shorter grace, which then counts."""
        self._ends_at = min(self._ends_at, time.monotonic() + grace_seconds)
        self._told.set()

    async def wait(self) -> None:
        """Returns when it is told to stop."""
        await self._told.wait()

    async def wait_for_end_of_grace(self) -> None:
        """Returns when no more patience is due."""
        while (left := self._ends_at - time.monotonic()) > 0:
            self._told.clear()
            try:
                async with asyncio.timeout(left):
                    await self._told.wait()
            except TimeoutError:
                continue


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


def build_models() -> Models:
    """Everything that this worker can build; keys are looked for when a call needs them."""
    return Models(
        stt={
            "simulated": lambda spec, line: simulated.build_stt(spec.stt, line),
            "deepgram": lambda spec, _line: plugins.build_deepgram_stt(spec),
        },
        llm={"simulated": _simulated_llm, "openai": plugins.build_openai_llm},
        tts={
            "simulated": lambda spec: simulated.build_tts(spec.tts),
            "cartesia": plugins.build_cartesia_tts,
        },
        vad=inference.VAD(model="silero"),
        checks={
            "deepgram": plugins.check_deepgram,
            "openai": plugins.check_openai,
            "cartesia": plugins.check_cartesia,
        },
    )


def build_line(spec: CallSpec) -> CallLine:
    """The telephone side that the spec names."""
    is_modem = spec.tts.provider == "simulated" and spec.tts.voice == "modem"
    return SimulatedLine(
        spec.line,
        ring_timeout_seconds=spec.ring_timeout_seconds,
        voice="modem" if is_modem else "speech",
    )


async def warm(detector: vad.VAD) -> None:
    """Loads the voice detector and lets it hear one second, so that the first call does not wait for it."""
    stream = detector.stream()
    silence = rtc.AudioFrame(bytes(2 * WARM_FRAME_SAMPLES), 16000, 1, WARM_FRAME_SAMPLES)
    for _ in range(50):
        stream.push_frame(silence)
    stream.end_input()
    async for _event in stream:
        pass
    await stream.aclose()


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

    async def run(self, stopping: Stopping) -> None:
        """Returns when it was told to stop, the calls are over and what could be delivered is delivered."""
        loops = [
            asyncio.create_task(self._claim_for_ever(), name="claim"),
            asyncio.create_task(self._adopt_for_ever(), name="adopt"),
        ]
        try:
            stop = asyncio.create_task(stopping.wait())
            await asyncio.wait({stop, *loops}, return_when=asyncio.FIRST_COMPLETED)
            for loop in loops:
                if loop.done():
                    loop.result()  # a bug of ours: the process dies of it and is started again
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.wait(loops)
            await self._drain(stopping)

    async def _claim_for_ever(self) -> None:
        backoff = Backoff()
        is_outage_logged = False
        while True:
            texts = len(self._text_calls)
            free = self._settings.worker_capacity - (len(self._live) - texts)
            text_free = self._settings.worker_text_capacity - texts
            if free <= 0 and text_free <= 0:
                self._place_freed.clear()
                await self._place_freed.wait()
                continue
            try:
                claimed = await self._client.claim(self._id, self._name, max(0, free), text_free)
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
            for spool in left_behind(self._settings.spool_root):
                log.info("call_adopted", conversation_id=spool.call.conversation_id)
                self._deliver(carry_on(self._client.connection, spool))
            await asyncio.sleep(ADOPT_EVERY_SECONDS)

    async def _drain(self, stopping: Stopping) -> None:
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
        await asyncio.sleep(0)  # the calls that have just ended begin their deliveries
        if self._deliveries:
            await asyncio.wait(set(self._deliveries), timeout=DELIVER_SECONDS)
        for task in self._deliveries:
            task.cancel()
        if self._deliveries:
            await asyncio.wait(set(self._deliveries))


def _simulated_llm(spec: CallSpec) -> llm.LLM[Any]:
    try:
        return simulated.build_llm(spec.llm)
    except ValueError as problem:
        raise ModelUnavailable(
            f"The rules of the simulated LLM can't be used: {problem}"
        ) from problem
