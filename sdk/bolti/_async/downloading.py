"""Recordings: waits until there is one, streams it, and goes on where a dropped connection stopped (`Range`)."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex

import httpx2

from bolti._async.core import AsyncCore
from bolti._errors import ApiError, ConnectionFailed, RecordingNotAvailable, UnexpectedAnswer
from bolti._operations import GET_RECORDING
from bolti._retrying import Repeat, is_worth_repeating, wait_seconds
from bolti._waiting import async_in_thread, async_sleep

LONGEST_SILENCE_SECONDS = 30.0
POLL_SECONDS = 0.5


class AsyncDownload:
    """One recording on its way into `write`, which gets every byte once and in order."""

    def __init__(
        self,
        core: AsyncCore,
        conversation_id: str,
        write: Callable[[bytes], object],
        *,
        wait_seconds: float,
    ) -> None:
        self._core = core
        self._conversation_id = conversation_id
        self._write = write
        self._until = time.monotonic() + wait_seconds
        self._written = 0
        self._failures = 0

    async def run(self) -> None:
        """Raises RecordingNotAvailable, other ApiErrors, and ConnectionFailed after too many drops without progress."""
        while True:
            before = self._written
            try:
                response = await self._opened()
                if await self._copied(response):
                    return
                failure: Exception = httpx2.ReadError("it ended before its end")
            except httpx2.TransportError as error:
                failure = error
            except ApiError as error:
                if not is_worth_repeating(Repeat.ALWAYS, error.status, error.code):
                    raise
                failure = error
            self._failures = 1 if self._written > before else self._failures + 1
            if self._failures > self._core.options.max_retries + 1:
                raise self._given_up(failure) from failure
            asked = failure.retry_after_seconds if isinstance(failure, ApiError) else None
            await async_sleep(wait_seconds(self._failures, asked))

    async def _opened(self) -> httpx2.Response:
        headers = {"Accept": "audio/ogg, application/problem+json", "Accept-Encoding": "identity"}
        if self._written:
            headers["Range"] = f"bytes={self._written}-"
        while True:
            try:
                return await self._core.open(
                    GET_RECORDING,
                    query=None,
                    headers=headers,
                    silence_seconds=LONGEST_SILENCE_SECONDS,
                    conversation_id=self._conversation_id,
                )
            except RecordingNotAvailable as error:
                is_coming = error.recording_status == "pending"
                if not is_coming or time.monotonic() + POLL_SECONDS > self._until:
                    raise
                await async_sleep(POLL_SECONDS)

    async def _copied(self, response: httpx2.Response) -> bool:
        """Whether the end was reached."""
        try:
            start, total = _extent(response)
            if start > self._written:
                raise UnexpectedAnswer(
                    f"The server sent bytes from {start}, not from {self._written}.",
                    status=response.status_code,
                    request_id=response.headers.get("request-id"),
                )
            skipped = self._written - start  # a server without ranges starts again
            async for chunk in response.aiter_bytes():
                fresh = chunk[skipped:]
                skipped -= len(chunk) - len(fresh)
                if fresh:
                    await async_in_thread(self._write, fresh)
                    self._written += len(fresh)
        finally:
            await response.aclose()
        return total is None or self._written >= total

    def _given_up(self, error: Exception) -> ConnectionFailed:
        return ConnectionFailed(
            f"The recording of {self._conversation_id} broke off after {self._written} bytes: "
            f"{error or type(error).__name__}. Try again later."
        )


async def save_recording(
    core: AsyncCore, conversation_id: str, target: Path, *, wait_seconds: float
) -> Path:
    """Under its own name only when it is whole."""
    part = target.with_name(f".{target.name}.{token_hex(4)}.part")
    file = await async_in_thread(part.open, "xb")
    try:
        with file:
            download = AsyncDownload(core, conversation_id, file.write, wait_seconds=wait_seconds)
            await download.run()
        await async_in_thread(os.replace, part, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return target


def _extent(response: httpx2.Response) -> tuple[int, int | None]:
    """Where the body starts in the recording, and how long the recording is (None: not said). Raises UnexpectedAnswer."""
    headers = response.headers
    if response.status_code == 206:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("content-range", ""))
        if found is None:
            raise UnexpectedAnswer(
                "A part of the recording came without saying which.",
                status=206,
                request_id=headers.get("request-id"),
            )
        return int(found[1]), None if found[2] == "*" else int(found[2])
    length = headers.get("content-length", "")
    is_said = length.isdigit() and "content-encoding" not in headers
    return 0, int(length) if is_said else None
