"""Handing out the peaks of a recording, once it was listened to."""

from __future__ import annotations

from bolti_server.base.errors import Refusal, not_found
from bolti_server.calls import heard_queries
from bolti_server.calls.heard_queries import StoredPeaks
from bolti_server.calls.recording_download import not_available
from bolti_server.contract import structs
from bolti_server.world import World


async def peaks_of(world: World, workspace_id: str, conversation_id: str) -> structs.RecordingPeaks:
    """Raises Refusal: 404 not_found, 404 recording_not_available (whose `recording_status` is `pending` while they are
    being made)."""
    async with world.db.transaction(is_readonly=True) as tx:
        found = await heard_queries.find_peaks(tx, workspace_id, conversation_id)
    if found is None:
        raise not_found("conversation")
    if found.status != "done" or found.caller is None or found.agent is None:
        raise _refusal(found)
    assert found.duration_ms is not None
    assert found.interval_ms is not None
    return structs.RecordingPeaks(
        conversation_id=conversation_id,
        duration_ms=found.duration_ms,
        interval_ms=found.interval_ms,
        caller=list(found.caller),
        agent=list(found.agent),
    )


def _refusal(found: StoredPeaks) -> Refusal:
    if found.recording_status != "available" or found.status is None:
        return not_available(found.recording_status, found.recording_detail, is_over=found.is_over)
    if found.status == "failed":
        words = f"There are no peaks of this recording. {found.detail}"
    else:
        words = "The recording has not been listened to yet: ask again in a moment."
    return Refusal(404, "recording_not_available", words, extras={"recording_status": found.status})
