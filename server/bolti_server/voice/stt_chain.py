"""The ear of a call: sound to words, by whichever vendor hears.

Rules: what was said since the last words that were understood is kept and given to the vendor that follows, so that a
change of vendors loses none; a vendor that takes sound and answers nothing is noticed by who knows that somebody spoke
(`voice.failures`), and left by `listen_elsewhere`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from livekit import rtc
from livekit.agents import APIConnectionError, APIConnectOptions, stt, utils
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN, NotGivenOr

from bolti_server.voice.fallback import Vendor, Vendors

CONNECT_SECONDS = 2.0
MEMORY_SECONDS = 15.0
SOUND_SECONDS = 10.0  # a connection that held for this long was a good one
_OPTIONS = APIConnectOptions(max_retry=0, timeout=CONNECT_SECONDS)


class SttChain(stt.STT[str]):
    """The session's STT. It fails as one when every vendor has, and may be opened again."""

    def __init__(self, vendors: Vendors[stt.STT[Any]]) -> None:
        super().__init__(capabilities=vendors.first.made.capabilities)
        self.vendors = vendors
        self.memory = _Memory()
        self.left: Vendor[stt.STT[Any]] | None = (
            None  # for hearing nothing, which is not proven yet
        )
        self.wishes_change = asyncio.Event()

    @property
    def model(self) -> str:
        return self.vendors.first.model

    @property
    def provider(self) -> str:
        return self.vendors.first.provider

    def listen_elsewhere(self) -> None:
        """The vendor is changed, or where there is only one, its connection; it hears again what was said lately."""
        self.wishes_change.set()

    def forgive(self) -> None:
        """The one after it heard no words either: nothing speaks against the vendor that was left."""
        self.left = None

    def prewarm(self) -> None:
        self.vendors.first.made.prewarm()

    async def _recognize_impl(
        self,
        buffer: utils.AudioBuffer,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions,
    ) -> stt.SpeechEvent:
        raise TypeError("a call is listened to as a stream")

    def stream(
        self,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> stt.RecognizeStream:
        return _ChainStream(self, APIConnectOptions(max_retry=0, timeout=conn_options.timeout))


class _ChainStream(stt.RecognizeStream):
    def __init__(self, chain: SttChain, conn_options: APIConnectOptions) -> None:
        self._chain = chain
        self._inner: stt.RecognizeStream | None = None
        super().__init__(stt=chain, conn_options=conn_options)

    async def _run(self) -> None:
        forwarding = asyncio.create_task(self._forward())
        try:
            await self._listen_to_somebody()
        finally:
            await utils.aio.cancel_and_wait(forwarding)

    async def _listen_to_somebody(self) -> None:
        vendors, tried = self._chain.vendors, set[Vendor[stt.STT[Any]]]()
        problem: Exception | None = None
        while (vendor := vendors.next(tried)) is not None:
            began_at = time.monotonic()
            try:
                is_left = await self._listen(vendor)
            except Exception as error:  # noqa: BLE001 - the edge to a vendor's plugin, which may raise anything
                vendors.failed(vendor, error)
                problem = error
            else:
                if not is_left:
                    return
                self._chain.left = vendor
                if vendors.is_alone(vendor):
                    continue
            if time.monotonic() - began_at > SOUND_SECONDS:
                tried.clear()
            tried.add(vendor)
        if problem is None:
            problem = APIConnectionError("speech was heard, but no transcript came")
        raise problem

    async def _listen(self, vendor: Vendor[stt.STT[Any]]) -> bool:
        """Returns at the end of the sound, or (True) when somebody wishes to listen elsewhere."""
        self._chain.wishes_change.clear()
        async with vendor.made.stream(conn_options=_OPTIONS) as inner:
            inner.start_time_offset = self.start_time_offset + max(
                0.0, time.time() - self.start_time
            )
            for frame in self._chain.memory.frames:
                inner.push_frame(frame)
            self._inner = inner
            if self._input_ch.closed and self._input_ch.empty():
                inner.end_input()
            reading = asyncio.create_task(self._read(inner, vendor))
            wishing = asyncio.create_task(self._chain.wishes_change.wait())
            try:
                await asyncio.wait({reading, wishing}, return_when=asyncio.FIRST_COMPLETED)
                if not reading.done():
                    return True
                reading.result()
                if not self._input_ch.closed:
                    raise APIConnectionError("the vendor ended the stream")
                return False
            finally:
                self._inner = None
                await utils.aio.cancel_and_wait(reading, wishing)

    async def _read(self, inner: stt.RecognizeStream, vendor: Vendor[stt.STT[Any]]) -> None:
        async for event in inner:
            if event.type == stt.SpeechEventType.RECOGNITION_USAGE:
                continue  # each vendor's is counted at the vendor
            if event.alternatives and event.alternatives[0].text:
                self._heard(vendor)
            if event.type == stt.SpeechEventType.FINAL_TRANSCRIPT:
                self._chain.memory.forget()
            self._event_ch.send_nowait(event)

    def _heard(self, vendor: Vendor[stt.STT[Any]]) -> None:
        deaf, self._chain.left = self._chain.left, None
        if deaf is not None and deaf is not vendor:
            silent = TimeoutError("speech was heard, but no transcript came")
            self._chain.vendors.failed(deaf, silent)
        self._chain.vendors.worked(vendor)

    async def _forward(self) -> None:
        async for piece in self._input_ch:
            if not isinstance(piece, rtc.AudioFrame):
                self._hand_on(lambda inner: inner.flush())
                continue
            self._chain.memory.keep(piece)
            self._hand_on(partial(_push, piece))
        self._hand_on(lambda inner: inner.end_input())

    def _hand_on(self, give: Callable[[stt.RecognizeStream], None]) -> None:
        if self._inner is None:
            return
        try:
            give(self._inner)
        except RuntimeError:  # it has just failed: the next one gets this out of the memory
            self._inner = None


class _Memory:
    """The sound since the last words that were understood, at most MEMORY_SECONDS of it."""

    def __init__(self) -> None:
        self.frames: deque[rtc.AudioFrame] = deque()
        self._seconds = 0.0

    def keep(self, frame: rtc.AudioFrame) -> None:
        self.frames.append(frame)
        self._seconds += frame.duration
        while self._seconds > MEMORY_SECONDS:
            self._seconds -= self.frames.popleft().duration

    def forget(self) -> None:
        self.frames.clear()
        self._seconds = 0.0


def _push(frame: rtc.AudioFrame, inner: stt.RecognizeStream) -> None:
    inner.push_frame(frame)
