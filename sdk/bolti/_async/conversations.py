"""Conversations: the records of calls."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import overload

from bolti import _operations as operations
from bolti._answers import Conversation, ConversationSummary, Transcript
from bolti._async.core import AsyncCore
from bolti._async.downloading import AsyncDownload, save_recording
from bolti._async.pages import AsyncListing
from bolti._async.waiting import wait_until_ended
from bolti._models import ConversationStatus, Direction, HangupCode, RecordingPeaks, SortOrder
from bolti._requests import Instant
from bolti._sending import given


class AsyncConversations:
    """`bolti.conversations`: one record per call, whatever its direction."""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    def list(
        self,
        *,
        status: ConversationStatus | Sequence[ConversationStatus] | None = None,
        direction: Direction | None = None,
        agent_id: str | None = None,
        to_number: str | None = None,
        from_number: str | None = None,
        simulated: bool | None = None,
        hangup_code: HangupCode | None = None,
        created_after: Instant | None = None,
        created_before: Instant | None = None,
        sort: SortOrder | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> AsyncListing[ConversationSummary]:
        """Records without transcript and usage, newest first unless `sort` is "oldest", `limit` (1-100, default 20) to a
        page.

        `created_after` is inclusive, `created_before` is not; both are aware datetimes or RFC 3339.
        """
        query = given(
            status=status,
            direction=direction,
            agent_id=agent_id,
            to_number=to_number,
            from_number=from_number,
            simulated=simulated,
            hangup_code=hangup_code,
            created_after=created_after,
            created_before=created_before,
            sort=sort,
            limit=limit,
            after=after,
        )
        return self._core.pages(operations.LIST_CONVERSATIONS, query=query)

    async def get(self, conversation_id: str) -> Conversation:
        """The whole record as it is now. Raises NotFound."""
        return await self._core.call(operations.GET_CONVERSATION, conversation_id=conversation_id)

    async def transcript(self, conversation_id: str) -> Transcript:
        """The turns so far; it grows while the call lasts. Raises NotFound."""
        return await self._core.call(operations.GET_TRANSCRIPT, conversation_id=conversation_id)

    async def peaks(self, conversation_id: str) -> RecordingPeaks:
        """What a waveform of the recording is drawn from: per side one value an interval, 255 is full scale.

        Made a moment after the recording. Raises RecordingNotAvailable, whose `recording_status` is "pending" until then.
        """
        return await self._core.call(
            operations.GET_RECORDING_PEAKS, conversation_id=conversation_id
        )

    async def end(self, conversation_id: str, *, say: str | None = None) -> Conversation:
        """Ends a live call as `ended_by_user` (before the answer: `cancelled_by_user`), and answers its record.

        `say`: spoken before the agent hangs up. Ending one that is over changes nothing. Raises NotFound.
        """
        return await self._core.call(
            operations.END_CONVERSATION, body=given(say=say), conversation_id=conversation_id
        )

    async def wait_until_ended(
        self, conversation_id: str, *, timeout_seconds: float = 3600
    ) -> Conversation:
        """The record once the call is over, however it ended: `status` and `hangup` say how.

        Listens to the live event stream and asks from time to time, so it outlives dropped connections and restarts of
        the server. The recording may come a little later; `recording()` waits for it. Raises WaitTimedOut (the call goes
        on), NotFound. A call scheduled for later needs a longer `timeout_seconds`.
        """
        return await wait_until_ended(self._core, conversation_id, timeout_seconds=timeout_seconds)

    @overload
    async def recording(
        self, conversation_id: str, *, save_to: None = None, wait_seconds: float = 60
    ) -> bytes: ...

    @overload
    async def recording(
        self, conversation_id: str, *, save_to: str | os.PathLike[str], wait_seconds: float = 60
    ) -> Path: ...

    async def recording(
        self,
        conversation_id: str,
        *,
        save_to: str | os.PathLike[str] | None = None,
        wait_seconds: float = 60,
    ) -> bytes | Path:
        """The recording: Ogg with Opus, stereo: the other side left, the agent right. Saved to a file, or as bytes.

        While it is still being made (`recording_status` is "pending"), waits for it up to `wait_seconds`. A dropped
        connection goes on where it stopped; the file has its name only when it is whole, and one of that name is
        replaced. Raises RecordingNotAvailable, whose `recording_status` says why; OSError for the file.
        """
        if save_to is not None:
            target = Path(save_to)
            return await save_recording(
                self._core, conversation_id, target, wait_seconds=wait_seconds
            )
        content = bytearray()
        await AsyncDownload(
            self._core, conversation_id, content.extend, wait_seconds=wait_seconds
        ).run()
        return bytes(content)
