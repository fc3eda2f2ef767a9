"""Recordings come from workers: stored whole or not at all, then told.

Rules: `available` is said of an object that is there, never before; a recording that was announced and does not come is
`failed` with a reason after its time, or as soon as its worker says that there is none, and `available` all the same if
it comes later; sending one again changes nothing. Every agent that had the call may send its own, also one that was
replaced, whenever it can: a recording moves nothing of the call. Several parts are joined by the job that listens to
them (`heard`), and until then the recording is pending.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from bolti_server.base.db import Tx
from bolti_server.base.errors import Refusal
from bolti_server.calls import (
    artifact_queries,
    deadlines,
    due_queries,
    events,
    heard_queries,
    leases,
    recording_ends,
)
from bolti_server.calls import worker_queries as queries
from bolti_server.calls.artifact_queries import StoredPart
from bolti_server.calls.worker_queries import LiveCall
from bolti_server.worker_api.messages import RecordingAnswer
from bolti_server.world import World

MOST_BYTES = 512 * 1024 * 1024  # four hours of stereo Opus at 256 kbit/s are 460 MB
UPLOAD_SECONDS = 300.0
JOIN_SECONDS = 900
_MOST_AGE_MS = 7 * 24 * 3600 * 1000
_OGG = b"OggS"


async def store_recording(
    world: World,
    conversation_id: str,
    epoch: int,
    chunks: AsyncIterator[bytes],
    *,
    age_ms: int | None = None,
) -> RecordingAnswer:
    """Stores what `chunks` brings and says so. `age_ms`: how long ago its first sound was, if the worker knows.

    Raises Refusal: 409 for an epoch that never was, 400 for what is no Ogg, 413.
    """
    async with world.db.transaction(is_readonly=True) as tx:
        call = await _call(tx, conversation_id, epoch)
        parts = await artifact_queries.list_parts(tx, call.workspace_id, call.id)
    stored = next((part for part in parts if part.epoch == epoch), None)
    if stored is None:
        path = path_of(call, epoch)
        received = _Received(chunks)
        await world.objects.put_stream(path, received.checked(), timeout_seconds=UPLOAD_SECONDS)
        stored = StoredPart(path, received.size_bytes, epoch, _started_at(call, age_ms))
    async with world.db.transaction() as tx:
        await _keep(tx, world, conversation_id, stored)
    return RecordingAnswer(bytes=stored.size_bytes)


def path_of(call: LiveCall, epoch: int) -> str:
    """Where the recording of an agent lies in the object store. The first agent's is the conversation's, as a rule: only
    one that was never dispatched twice has that name, so no two agents write to it."""
    part = "" if call.dispatch_count <= 1 and epoch == call.epoch else f".{epoch}"
    return f"{call.workspace_id}/{call.created_at:%Y/%m}/{call.id}{part}.ogg"


def _started_at(call: LiveCall, age_ms: int | None) -> datetime | None:
    if age_ms is None:
        return None
    told = call.now - timedelta(milliseconds=min(max(age_ms, 0), _MOST_AGE_MS))
    return told if call.answered_at is None else max(told, call.answered_at)


async def fail_overdue(world: World) -> int:
    """Gives up on recordings that never came, at most a batch; how many."""
    async with world.db.transaction() as tx:
        due = await due_queries.find_recordings_overdue_of_any_workspace(tx, deadlines.BATCH)
    return await deadlines.each(world, due, _fail, "recording_not_failed")


async def _fail(tx: Tx, workspace_id: str, conversation_id: str) -> bool:
    call = await queries.lock_call(tx, workspace_id, conversation_id)
    if call is None or call.recording_status != "pending":
        return False
    if await artifact_queries.list_parts(tx, workspace_id, conversation_id):
        # It came in parts, and no server has joined them yet: that is not given up here.
        again_at = call.now + timedelta(seconds=JOIN_SECONDS)
        await queries.change_call(tx, workspace_id, conversation_id, {"next_at": again_at})
        return True
    await recording_ends.give_up(tx, call, "The agent worker never delivered it.")
    return True


async def _keep(tx: Tx, world: World, conversation_id: str, stored: StoredPart) -> None:
    call = await queries.lock_call_of_any_workspace(tx, conversation_id)
    assert call is not None, "conversations are not deleted"
    is_news = await artifact_queries.insert_part(
        tx,
        call.workspace_id,
        call.id,
        epoch=stored.epoch,
        path=stored.path,
        size_bytes=stored.size_bytes,
        started_at=stored.started_at,
    )
    if not is_news or not call.is_over:
        return  # of a call that goes on, the end will tell
    parts = await artifact_queries.list_parts(tx, call.workspace_id, call.id)
    await heard_queries.ask(tx, call.workspace_id, call.id)
    if call.recording_status == "available" or len(parts) > 1:
        return  # one part is there already: the whole is made of both
    changes = {
        "recording_status": "available",
        "recording_detail": None,
        "recording_path": stored.path,
        "recording_bytes": stored.size_bytes,
        "next_at": None,
    }
    await queries.change_call(tx, call.workspace_id, call.id, changes)
    await events.emit_conversation(
        tx, world, call.workspace_id, call.id, "conversation.recording_ready"
    )


async def _call(tx: Tx, conversation_id: str, epoch: int) -> LiveCall:
    call = await queries.find_call_of_any_workspace(tx, conversation_id)
    if call is None:
        raise Refusal(409, "epoch_superseded", "There is no such conversation.")
    if epoch > call.epoch:
        leases.check_epoch(call, epoch)
    return call


class _Received:
    """Counts what passes, and stops what can't be a recording."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self.size_bytes = 0

    async def checked(self) -> AsyncIterator[bytes]:
        head = b""
        async for chunk in self._chunks:
            if len(head) < len(_OGG):
                head += chunk[: len(_OGG)]
                if not _OGG.startswith(head[: len(_OGG)]):
                    break
            self.size_bytes += len(chunk)
            if self.size_bytes > MOST_BYTES:
                raise Refusal(413, "body_too_large", f"A recording has at most {MOST_BYTES} bytes.")
            if chunk:
                yield chunk
        if not head.startswith(_OGG):
            raise Refusal(400, "validation_failed", "The body is not an Ogg file.")
