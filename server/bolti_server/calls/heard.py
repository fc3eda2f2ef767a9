"""After a call: its recording is listened to, by a due job of every server.

What comes of it: `heard_ms` and `unaccounted_ms` on the turns, the peaks of a waveform, and, where agents replaced each
other, one recording of all their parts.

Rules: a recording is claimed by a lease (SKIP LOCKED), so a killed server's is taken up by another; no transaction is
open while somebody listens; what is no recording is given up at once, and what kills or hangs the helper after
MOST_ATTEMPTS, so that a poisoned file holds up no other. Parts that can't be joined leave the largest of them.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from shutil import rmtree

import attrs
import msgspec

from bolti_server.base.db import Tx
from bolti_server.base.logging import get_logger
from bolti_server.base.storage import ObjectMissing
from bolti_server.calls import artifact_queries, events, heard_helper, heard_queries
from bolti_server.calls import worker_queries as queries
from bolti_server.calls.artifact_queries import StoredPart
from bolti_server.calls.heard_helper import HearingFailed
from bolti_server.calls.heard_latency import answering, with_heard
from bolti_server.calls.heard_messages import HeardAnswer, HeardRequest, RecordingPart
from bolti_server.calls.heard_queries import Hearing
from bolti_server.calls.worker_queries import LiveCall
from bolti_server.contract import structs
from bolti_server.world import World

MOST_ATTEMPTS = 3
LEASE_SECONDS = 600  # fetching, listening and storing have to fit
AGAIN_SECONDS = 20
TRANSFER_SECONDS = 300.0
_CHUNK_BYTES = 1 << 20
_FOLDER = "bolti-hearing-"
_LEFT_BEHIND_SECONDS = 3600
_SAME_MS = 1000  # a recording begins with the answer; what differs less is the way of two messages

Listen = Callable[[HeardRequest], Awaitable[HeardAnswer]]

log = get_logger("heard")


@attrs.frozen
class _Work:
    """What is to be listened to; parts in the order of their agents."""

    call: LiveCall
    parts: list[StoredPart]
    turns: list[structs.Turn]


async def hear_due(world: World, *, listen: Listen = heard_helper.listen) -> int:
    """Listens to one recording that is due; how many it took up (0: none is due)."""
    async with world.db.transaction() as tx:
        hearing = await heard_queries.claim_of_any_workspace(tx, lease_seconds=LEASE_SECONDS)
    if hearing is None:
        return 0
    if hearing.attempts > MOST_ATTEMPTS:
        await _give_up(world, hearing, "Whoever listened to it was killed.")
        return 1
    work = await _work(world, hearing)
    try:
        await _hear(world, hearing, work, listen)
    except (HearingFailed, ObjectMissing, OSError) as error:
        log.warning(
            "hearing_failed",
            conversation_id=hearing.conversation_id,
            attempts=hearing.attempts,
            detail=str(error),
        )
        if hearing.attempts >= MOST_ATTEMPTS:
            await _give_up(world, hearing, str(error)[:500] or "It took too long.")
        else:
            async with world.db.transaction() as tx:
                await heard_queries.postpone(
                    tx, hearing.workspace_id, hearing, seconds=AGAIN_SECONDS
                )
    return 1


async def _work(world: World, hearing: Hearing) -> _Work:
    workspace_id, conversation_id = hearing.workspace_id, hearing.conversation_id
    async with world.db.transaction(is_readonly=True) as tx:
        call = await queries.find_call_of_any_workspace(tx, conversation_id)
        assert call is not None, "conversations are not deleted"
        parts = await artifact_queries.list_parts(tx, workspace_id, conversation_id)
        turns = await queries.list_turns(tx, workspace_id, conversation_id)
    assert parts, f"{conversation_id} has nothing to be listened to"
    return _Work(call, parts, [msgspec.json.decode(turn, type=structs.Turn) for turn in turns])


async def _hear(world: World, hearing: Hearing, work: _Work, listen: Listen) -> None:
    async with _folder() as folder:
        parts = []
        for n, (part, start_ms) in enumerate(placed(work.parts)):
            file = folder / f"{n}.ogg"
            await _fetch(world, part, file)
            parts.append(RecordingPart(file=str(file), start_ms=start_ms))
        joined = folder / "joined.ogg" if len(parts) > 1 else None
        request = HeardRequest(
            parts=parts,
            turns=answering(work.turns, shift_ms=shift_ms(work.call.answered_at, work.parts[0])),
            cpu_seconds=round(heard_helper.LISTEN_SECONDS),
            joined_file=None if joined is None else str(joined),
        )
        answer = await listen(request)
        if answer.problem is not None:
            await _give_up(world, hearing, f"It can't be read: {answer.problem}")
            return
        whole = None if joined is None else await _store(world, work, joined)
    async with world.db.transaction() as tx:
        await _keep(tx, world, hearing, work, answer, whole)


def placed(parts: Sequence[StoredPart]) -> list[tuple[StoredPart, int]]:
    """Each with the ms from the start of the first to its own; one that nobody knows of follows the one before it."""
    first = parts[0].started_at
    found: list[tuple[StoredPart, int]] = []
    last = 0
    for part in parts:
        if first is not None and part.started_at is not None:
            last = max(last, round((part.started_at - first) / timedelta(milliseconds=1)))
        found.append((part, last))
    return found


def shift_ms(answered_at: datetime | None, first: StoredPart) -> int:
    """How long after the answer the recording begins: turns count from the answer."""
    if answered_at is None or first.started_at is None:
        return 0
    shift = round((first.started_at - answered_at) / timedelta(milliseconds=1))
    return shift if shift > _SAME_MS else 0


async def _keep(
    tx: Tx,
    world: World,
    hearing: Hearing,
    work: _Work,
    answer: HeardAnswer,
    whole: StoredPart | None,
) -> None:
    workspace_id, conversation_id = hearing.workspace_id, hearing.conversation_id
    call = await queries.lock_call(tx, workspace_id, conversation_id)
    if call is None or not await heard_queries.is_still_ours(tx, workspace_id, hearing):
        return  # another part came meanwhile, or the lease was over: somebody else will tell
    assert answer.peaks is not None, "an answer without a problem has peaks"
    await heard_queries.keep(
        tx,
        workspace_id,
        conversation_id,
        duration_ms=answer.duration_ms,
        interval_ms=answer.peaks.interval_ms,
        caller=answer.peaks.caller,
        agent=answer.peaks.agent,
    )
    heard = {turn.index: turn.heard_ms for turn in answer.turns}
    for turn in work.turns:
        if turn.index in heard:
            body = msgspec.json.encode(with_heard(turn, heard[turn.index])).decode()
            await queries.save_turn(
                tx,
                workspace_id,
                conversation_id,
                turn_index=turn.index,
                role=turn.role,
                body=body,
            )
    if whole is not None:
        await _make_available(tx, world, call, whole, detail=None)


async def _give_up(world: World, hearing: Hearing, detail: str) -> None:
    async with world.db.transaction() as tx:
        workspace_id, conversation_id = hearing.workspace_id, hearing.conversation_id
        call = await queries.lock_call(tx, workspace_id, conversation_id)
        if call is None or not await heard_queries.is_still_ours(tx, workspace_id, hearing):
            return
        await heard_queries.give_up(tx, workspace_id, conversation_id, detail)
        parts = await artifact_queries.list_parts(tx, workspace_id, conversation_id)
        if len(parts) > 1 and call.recording_status != "available":
            largest = max(parts, key=lambda part: part.size_bytes)
            told = "Only a part of it: what the agents of this call recorded could not be joined."
            await _make_available(tx, world, call, largest, detail=told)


async def _make_available(
    tx: Tx, world: World, call: LiveCall, stored: StoredPart, *, detail: str | None
) -> None:
    changes = {
        "recording_status": "available",
        "recording_detail": detail,
        "recording_path": stored.path,
        "recording_bytes": stored.size_bytes,
        "next_at": None,
    }
    await queries.change_call(tx, call.workspace_id, call.id, changes)
    if call.recording_status != "available":
        await events.emit_conversation(
            tx, world, call.workspace_id, call.id, "conversation.recording_ready"
        )


async def _fetch(world: World, part: StoredPart, to: Path) -> None:
    async with asyncio.timeout(TRANSFER_SECONDS):
        with to.open("wb") as file:
            for start in range(0, part.size_bytes, _CHUNK_BYTES):
                end = min(start + _CHUNK_BYTES, part.size_bytes)
                chunk = await world.objects.get_range(part.path, start, end)
                await asyncio.to_thread(file.write, chunk)


async def _store(world: World, work: _Work, joined: Path) -> StoredPart:
    """Beside the parts, under a name that says which they are."""
    epochs = "-".join(str(part.epoch) for part in work.parts)
    path = (
        f"{work.call.workspace_id}/{work.call.created_at:%Y/%m}/{work.call.id}.joined-{epochs}.ogg"
    )
    size_bytes = (await asyncio.to_thread(joined.stat)).st_size

    async def chunks() -> AsyncIterator[bytes]:
        with joined.open("rb") as file:
            while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
                yield chunk

    await world.objects.put_stream(path, chunks(), timeout_seconds=TRANSFER_SECONDS)
    return StoredPart(path, size_bytes, work.parts[-1].epoch, work.parts[0].started_at)


@asynccontextmanager
async def _folder() -> AsyncIterator[Path]:
    """Of this one recording; what a killed server left behind of others is removed."""
    root = Path(tempfile.gettempdir())
    await asyncio.to_thread(_sweep, root)
    made = Path(tempfile.mkdtemp(prefix=_FOLDER, dir=root))
    try:
        yield made
    finally:
        await asyncio.to_thread(rmtree, made, ignore_errors=True)


def _sweep(root: Path) -> None:
    for folder in root.glob(f"{_FOLDER}*"):
        try:
            age_seconds = time.time() - folder.stat().st_mtime
        except OSError:  # its owner has just removed it
            continue
        if age_seconds > _LEFT_BEHIND_SECONDS:
            rmtree(folder, ignore_errors=True)
