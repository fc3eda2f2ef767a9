"""Handing out a recording: the whole or one range of bytes (RFC 9110, section 14), in chunks.

Rule: the first chunk is read before the answer begins, so that a file that is gone is a problem document and no broken
download; and no transaction is open while bytes flow.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import attrs

from bolti_server.base.errors import Refusal, not_found
from bolti_server.base.logging import get_logger
from bolti_server.base.storage import ObjectMissing
from bolti_server.calls import queries
from bolti_server.calls.queries import StoredRecording
from bolti_server.world import World

MEDIA_TYPE = "audio/ogg"
_CHUNK_BYTES = 1 << 18

_WHY_NOT = {
    "none": "This conversation has no recording.",
    "live": "The call goes on; its recording, if it has one, comes after its end. Wait for conversation.recording_ready.",
    "pending": "The recording is not ready yet. Wait for conversation.recording_ready.",
    "failed": "The recording could not be kept.",
}

log = get_logger("recordings")


@attrs.frozen
class Span:
    """Bytes `start` to `end` (not included) of `total`; `is_part` where only a range was asked for."""

    start: int
    end: int
    total: int
    is_part: bool

    @property
    def length(self) -> int:
        return self.end - self.start


@attrs.frozen
class Download:
    """`chunks` yields the bytes of `span`, in order."""

    conversation_id: str
    span: Span
    chunks: AsyncIterator[bytes]


async def open_download(
    world: World, workspace_id: str, conversation_id: str, range_header: str | None
) -> Download:
    """The recording, or the range of it that `range_header` asks for.

    Raises Refusal: 404 not_found, 404 recording_not_available, 416 range_not_satisfiable.
    """
    async with world.db.transaction(is_readonly=True) as tx:
        recording = await queries.find_recording(tx, workspace_id, conversation_id)
    if recording is None:
        raise not_found("conversation")
    if recording.path is None or recording.size_bytes is None or recording.status != "available":
        raise not_available(recording.status, recording.detail, is_over=recording.is_over)
    span = span_of(range_header, recording.size_bytes)
    first_end = min(span.start + _CHUNK_BYTES, span.end)
    try:
        first = await world.objects.get_range(recording.path, span.start, first_end)
    except ObjectMissing:
        log.error("recording_missing", conversation_id=conversation_id, path=recording.path)
        raise not_available("failed", "Its file is gone.", is_over=True) from None
    return Download(conversation_id, span, _chunks(world, recording, first, first_end, span.end))


def span_of(range_header: str | None, total: int) -> Span:
    """What `bytes=0-99`, `bytes=100-` or `bytes=-100` asks for of `total` bytes; None and a range whose end lies before
    its start ask for all. Raises Refusal 416 where there are no such bytes."""
    whole = Span(0, total, total, is_part=False)
    if range_header is None:
        return whole
    first, _, last = range_header.removeprefix("bytes=").partition("-")
    if not first:
        start, end = max(0, total - int(last)), total
    else:
        start, end = int(first), min(int(last) + 1, total) if last else total
        if last and int(last) < int(first):
            return whole  # such a header is to be ignored (RFC 9110, section 14.1.1)
    if start >= end:
        raise Refusal(
            416,
            "range_not_satisfiable",
            f"The recording has {total} bytes.",
            headers={"Content-Range": f"bytes */{total}"},
        )
    return Span(start, end, total, is_part=True)


async def _chunks(
    world: World, recording: StoredRecording, first: bytes, position: int, end: int
) -> AsyncIterator[bytes]:
    yield first
    assert recording.path is not None, "checked by open_download"
    while position < end:
        upto = min(position + _CHUNK_BYTES, end)
        yield await world.objects.get_range(recording.path, position, upto)
        position = upto


def not_available(status: str, detail: str | None, *, is_over: bool) -> Refusal:
    """404 recording_not_available, with the status and why. `is_over`: the call."""
    words = _WHY_NOT.get(status if is_over else "live", _WHY_NOT["none"])
    return Refusal(
        404,
        "recording_not_available",
        f"{words} {detail}" if detail else words,
        extras={"recording_status": status},
    )
