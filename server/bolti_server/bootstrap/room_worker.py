"""The agent worker for real lines: registered with LiveKit, a warm process for each call in a room.

Rules: it is never in dev mode (whose defaults try LiveKit's cloud) and speaks with nobody but LiveKit; the calls speak with
our server. A LiveKit that can't be reached is tried for ever and told once. Draining means: no new calls, those that run
finish within the grace, then each is told to say goodbye. It stands on internals of livekit-agents 1.8.9, which is pinned:
tests/server/bootstrap/test_room_worker.py is the contract that an upgrade has to keep.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from livekit.agents import AgentServer, JobExecutorType, JobRequest
from livekit.agents.ipc.supervised_proc import SupervisedProc
from livekit.protocol import agent

from bolti_server.base.logging import get_logger
from bolti_server.bootstrap import room_job
from bolti_server.bootstrap.worker_settings import Stopping, WorkerSettings
from bolti_server.rooms.media import AGENT_IDENTITY, AGENT_NAME
from bolti_server.worker_api.messages import RoomWorker as RoomWorkerState

INITIALIZE_SECONDS = 60.0  # of a process, on a machine that is busy with calls
CLOSE_SECONDS = 10.0
GOODBYE_SECONDS = 25.0
LOOK_SECONDS = 0.1
FOR_EVER = 1_000_000_000
# Of AgentServer's loop: it is told by each try.
_UNREACHABLE = "failed to connect to livekit, retrying"

log = get_logger("room_worker")


class RoomWorker:
    """`other_calls`: those that the same worker carries without a room; they share its capacity."""

    def __init__(self, settings: WorkerSettings, other_calls: Callable[[], int]) -> None:
        # Half of the memory (501 -> 243 MB): the end-of-turn model is not used.
        os.environ.setdefault("LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE", "0")
        self._settings = settings
        self._drain_file = settings.data_dir / "worker" / f"drain-{uuid.uuid4().hex}"
        self._outage = _Outage()
        self._server = _Server(
            capacity=settings.worker_capacity,
            other_calls=other_calls,
            ws_url=settings.livekit_url,
            api_key=settings.livekit_api_key,
            api_secret=settings.livekit_api_secret,
            host="127.0.0.1",
            port=settings.worker_health_port,
            http_proxy=None,  # sound does not go by a proxy either
            job_executor_type=JobExecutorType.PROCESS,
            num_idle_processes=settings.worker_warm,
            initialize_process_timeout=INITIALIZE_SECONDS,
            shutdown_process_timeout=CLOSE_SECONDS,
            max_retry=FOR_EVER,
            load_threshold=1.0,
            job_memory_limit_mb=settings.worker_memory_limit_mb,
            job_memory_warn_mb=0.8 * settings.worker_memory_limit_mb,
            preload_modules=["bolti_server.bootstrap.room_job"],
            setup_fnc=partial(room_job.prewarm, settings),
            prometheus_port=settings.worker_metrics_port,
        )
        self._server.rtc_session(
            partial(room_job.run_job, settings, self._drain_file),
            agent_name=AGENT_NAME,
            on_request=_accept,
        )
        self._server.on("worker_registered", self._registered)

    @property
    def calls(self) -> int:
        """That run, or are accepted and about to."""
        return self._server.calls

    @property
    def state(self) -> RoomWorkerState:
        """For the server, and by it for the doctor."""
        return RoomWorkerState(
            url=self._settings.livekit_url or "",
            is_registered=self._server.is_registered,
            warm=self._server.warm,
            warm_wanted=self._settings.worker_warm,
        )

    async def run(self) -> None:
        """For ever. Raises OSError where the health port is taken."""
        self._settings.spool_root.mkdir(parents=True, exist_ok=True, mode=0o700)
        logger = logging.getLogger("livekit.agents")
        logger.addFilter(self._outage)
        try:
            await self._server.run(devmode=False)
        finally:
            logger.removeFilter(self._outage)

    async def drain(self, stopping: Stopping) -> None:
        """Returns when no call runs any more. Then `aclose`."""
        if not self.calls:  # and none begins: it may be starting still, and hold its lock for that
            self._server._draining = True  # noqa: SLF001
            return
        # AgentServer.drain holds its lock to the end, and would keep aclose waiting.
        draining = asyncio.create_task(self._server.drain(timeout=None))
        grace = asyncio.create_task(stopping.wait_for_end_of_grace())
        try:
            log.info("draining", calls=self.calls)
            await asyncio.wait({draining, grace}, return_when=asyncio.FIRST_COMPLETED)
            if self.calls:
                self._drain_file.touch(mode=0o600)
                with suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(draining), GOODBYE_SECONDS)
        finally:
            for task in (draining, grace):
                task.cancel()
            await asyncio.gather(draining, grace, return_exceptions=True)

    async def aclose(self) -> None:
        """Ends the processes. Safe to repeat."""
        try:
            await asyncio.wait_for(self._server.aclose(), 2 * CLOSE_SECONDS)
        except TimeoutError:
            self._server.kill()
        self._drain_file.unlink(missing_ok=True)

    def _registered(self, worker_id: str, _server_info: object) -> None:
        self._outage.is_told = False
        log.info(
            "rooms_ready",
            livekit=self._settings.livekit_url,
            worker_id=worker_id,
            warm=self._settings.worker_warm,
            health_port=self._server.worker_info.http_port,
        )


class _Server(AgentServer):
    """Counts calls instead of the processor's load: LiveKit's own estimate takes no more at once than processes are warm."""

    def __init__(self, *, capacity: int, other_calls: Callable[[], int], **options: Any) -> None:
        super().__init__(load_fnc=self._load, **options)
        self._capacity = capacity
        self._other_calls = other_calls

    @property
    def calls(self) -> int:
        return len(self.active_jobs) + self._reserved_slots if hasattr(self, "_proc_pool") else 0

    @property
    def is_registered(self) -> bool:
        return self._id != "unregistered" and not self._connecting

    @property
    def warm(self) -> int:
        """Processes that wait for a call."""
        if not hasattr(self, "_proc_pool"):
            return 0
        return self._proc_pool._warmed_proc_queue.qsize()  # noqa: SLF001 - nothing else knows

    async def _handle_termination(self, msg: agent.JobTermination) -> None:
        """Ignored: a call ends by itself. livekit-server 1.13.5 knows one job for each identity, and when a successor has
        thrown out the ghost of its predecessor it terminates the successor's (pkg/rtc/room.go, RemoveParticipant): it would
        be cancelled 15 s later."""

    def kill(self) -> None:
        """kill -9 of every process that is left: Python would wait for it for ever."""
        for process in self._proc_pool.processes if hasattr(self, "_proc_pool") else ():
            if isinstance(process, SupervisedProc) and process.pid is not None:
                log.warning("process_killed", pid=process.pid)
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)

    def _load(self) -> float:
        return min(1.0, (self.calls + self._other_calls()) / self._capacity)

    def _get_effective_load(self) -> float:
        return self._load()


class _Outage(logging.Filter):
    """Lets one line through for all the tries to reach LiveKit."""

    def __init__(self) -> None:
        super().__init__()
        self.is_told = False

    def filter(self, record: logging.LogRecord) -> bool:
        if not str(record.msg).startswith(_UNREACHABLE):
            return True
        if not self.is_told:
            self.is_told = True
            log.warning("livekit_unreachable", detail=str(getattr(record, "error", "")))
        return False


async def _accept(request: JobRequest) -> None:
    """With the identity of every agent of a call: it replaces the ghost of one that died."""
    await request.accept(name="agent", identity=AGENT_IDENTITY)
