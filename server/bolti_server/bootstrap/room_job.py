"""One call in a LiveKit room, in a process of its own: what the job processes of `bootstrap.room_worker` run.

Rules: whose call it is is settled before the room is joined: who joins replaces the agent that is there. The job returns
when the call is over (LiveKit's agents wait 15 s for one that does not). What the server has not taken by then stays on
disk; the worker that started this process delivers it.
"""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from typing import cast

import anyio._backends._asyncio  # noqa: F401 - see prewarm
import livekit.agents.llm.async_toolset  # noqa: F401 - see prewarm
import msgspec
from livekit import rtc
from livekit.agents import AutoSubscribe, JobContext, JobProcess

from bolti_server.base.logging import configure_logging, get_logger
from bolti_server.bootstrap.call_models import build_models, warm
from bolti_server.bootstrap.worker_settings import WorkerSettings
from bolti_server.lines.room import RoomLine
from bolti_server.lines.room_other_side import SIP, OtherSide
from bolti_server.lines.room_servers import RoomServers
from bolti_server.simulated import models as simulated
from bolti_server.voice.call import run_call
from bolti_server.voice.models import Models
from bolti_server.worker_api.client import CallClient, WorkerClient
from bolti_server.worker_api.errors import CallLost, NotAuthorized, ServerUnreachable
from bolti_server.worker_api.messages import (
    CallSpec,
    Claimed,
    EndReport,
    InboundCall,
    JobMetadata,
)
from bolti_server.worker_api.spool import SpoolTaken

JOIN_SECONDS = 8.0
CALLER_SECONDS = 5.0  # a dispatch rule's job is there before its caller
DELIVER_SECONDS = 3.0
LOOK_FOR_DRAIN_SECONDS = 0.25
_MODELS, _CLIENT = "models", "client"  # of a process's user data

log = get_logger("room_job")


def prewarm(settings: WorkerSettings, process: JobProcess) -> None:
    """Before a job is there: all that the first call would wait for. (Two modules above are imported for that too: a client
    and a session import them late, in the call.)"""
    configure_logging(settings.log_level, settings.log_format)
    models = build_models()
    asyncio.run(warm(models.vad))
    process.userdata[_MODELS] = models
    # Its TLS settings take a third of a second on a busy machine. It belongs to no loop before it is used.
    process.userdata[_CLIENT] = WorkerClient(settings.internal_url, settings.worker_token)


async def run_job(settings: WorkerSettings, drain_file: Path, context: JobContext) -> None:
    """The entrypoint. `drain_file`: when it appears, the agent says goodbye."""
    assert settings.livekit_url is not None
    models = cast(Models, context.proc.userdata[_MODELS])
    client = cast(WorkerClient, context.proc.userdata[_CLIENT])
    servers = RoomServers.open(
        settings.livekit_url,
        settings.livekit_api_key,
        settings.livekit_api_secret,
        settings.livekit_sip_url,
    )
    job = _Job(settings, drain_file, context, client, servers, models)
    try:
        await job.run()
    finally:
        await simulated.stop_voices()
        await servers.aclose()
        await client.aclose()
        context.shutdown("the call is over")


class _Job:
    def __init__(
        self,
        settings: WorkerSettings,
        drain_file: Path,
        context: JobContext,
        client: WorkerClient,
        servers: RoomServers,
        models: Models,
    ) -> None:
        self._settings = settings
        self._drain_file = drain_file
        self._context = context
        self._client = client
        self._servers = servers
        self._models = models
        self._room_name = context.job.room.name

    async def run(self) -> None:
        """Returns when the call is over, or where there is none for us."""
        try:
            metadata = msgspec.json.decode(self._context.job.metadata, type=JobMetadata)
        except msgspec.DecodeError as error:
            log.error("job_without_a_call", room=self._room_name, detail=str(error))
            return
        if metadata.trunk_id is not None:
            claimed = await self._caller(metadata.trunk_id)
        elif metadata.conversation_id is not None and metadata.token is not None:
            claimed = Claimed(
                conversation_id=metadata.conversation_id,
                epoch=metadata.epoch,
                token=metadata.token,
            )
        else:
            log.error("job_without_a_call", room=self._room_name, detail="it names none")
            return
        if claimed is not None:
            await self._carry(claimed)

    async def _caller(self, trunk_id: str) -> Claimed | None:
        """Whose call it is that rings in this room. None: it is refused, or the caller is gone."""
        if not await self._join(AutoSubscribe.SUBSCRIBE_NONE):
            return None
        caller = OtherSide(self._context.room, kind=SIP, identity=None)
        await caller.wait_until(lambda: caller.is_there, CALLER_SECONDS)
        participant = caller.participant
        caller.close()
        if participant is None:
            log.warning("no_caller_in_room", room=self._room_name)
            await self._servers.close_room(self._room_name)
            return None
        attributes = participant.attributes
        call = InboundCall(
            worker_id=f"{socket.gethostname()}:{os.getpid()}",
            room=self._room_name,
            sip_call_id=attributes.get("sip.callID", participant.sid),
            trunk_id=trunk_id,
            from_number=attributes.get("sip.phoneNumber", ""),
            to_number=attributes.get("sip.trunkPhoneNumber", ""),
        )
        try:
            answer = await self._client.inbound(call)
        except (ServerUnreachable, NotAuthorized, CallLost) as problem:
            log.error("inbound_call_refused", room=self._room_name, detail=str(problem))
            await self._servers.close_room(self._room_name)
            return None
        if answer.claimed is None:
            log.info("inbound_call_refused", room=self._room_name, code=answer.code)
            await self._servers.close_room(self._room_name)
        return answer.claimed

    async def _carry(self, claimed: Claimed) -> None:
        try:
            client = self._client.call(claimed, self._settings.spool_root)
        except SpoolTaken as problem:
            log.warning("job_skipped", room=self._room_name, detail=str(problem))
            return
        client.start()
        drain = asyncio.create_task(self._drain_when_told(client))
        try:
            await self._talk(client)
        finally:
            drain.cancel()
            await self._deliver(client)

    async def _talk(self, client: CallClient) -> None:
        try:
            spec = await client.spec()
        except (ServerUnreachable, NotAuthorized, CallLost) as problem:
            self._give_up(client, f"No spec: {problem}")
            return
        # Who is called in this room has joined it already, and subscribes to nobody yet; all others hear at once.
        joining = asyncio.create_task(self._join(AutoSubscribe.SUBSCRIBE_ALL))
        voices = asyncio.create_task(_start_voices_for(spec))
        line = RoomLine(self._context.room, self._servers, spec, joining)
        try:
            await run_call(self._context, line, spec, client, self._models)
        finally:
            await line.aclose()
            for task in (joining, voices):
                task.cancel()
            await asyncio.gather(joining, voices, return_exceptions=True)

    async def _join(self, subscribe: AutoSubscribe) -> bool:
        """Whether this agent is in the room. Safe to repeat.

        Joining is never cancelled half way: livekit 1.1.21 ends the process some seconds after that ("FFI Panic: timed out
        waiting for ReadyForRoomEventRequest"), and what the call has to report with it.
        """
        connecting = asyncio.ensure_future(self._context.connect(auto_subscribe=subscribe))
        connecting.add_done_callback(_heed)
        try:
            await asyncio.wait_for(asyncio.shield(connecting), JOIN_SECONDS)
        except (rtc.ConnectError, TimeoutError) as error:
            log.error("room_not_joined", room=self._room_name, detail=repr(error))
            return False
        return True

    def _give_up(self, client: CallClient, detail: str) -> None:
        ended = EndReport(code="agent_lost", detail=detail[:300], is_line_open=True)
        client.report("ended", ended=ended)

    async def _drain_when_told(self, client: CallClient) -> None:
        while not self._drain_file.exists():  # noqa: ASYNC110 - the parent has no other way to a job
            await asyncio.sleep(LOOK_FOR_DRAIN_SECONDS)
        client.drain()

    async def _deliver(self, client: CallClient) -> None:
        try:
            async with asyncio.timeout(DELIVER_SECONDS):
                await client.deliver_rest()
        except TimeoutError:
            log.warning("left_for_the_worker", room=self._room_name)


def _heed(connecting: asyncio.Future[None]) -> None:
    """Nobody may wait any more for what comes of it."""
    if not connecting.cancelled() and (error := connecting.exception()) is not None:
        log.info("joining_failed", detail=repr(error))


async def _start_voices_for(spec: CallSpec) -> None:
    """The simulated voice's helper process, while the room is being joined; nobody else needs one."""
    if any(each.provider == "simulated" for each in (spec.tts, *spec.tts_fallbacks)):
        await simulated.start_voices()
