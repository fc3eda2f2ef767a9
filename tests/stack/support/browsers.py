"""A browser in a web call, as livekit-client makes it: it joins with the token, speaks and hears."""

from __future__ import annotations

import asyncio

from livekit import rtc

from bolti_server.simulated import voices
from bolti_server.simulated.modem import Decoder, encode
from bolti_server.simulated.sound import RATE

FRAME_SAMPLES = RATE // 50


class Browser:
    """`heard`: the agent's sentences, by their modem. Use `join` and `leave`."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.room = rtc.Room()
        self._source = rtc.AudioSource(RATE, 1)
        self._words: asyncio.Queue[bytes] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []

    async def join(self, server_url: str, token: str) -> None:
        self.room.on("track_subscribed", self._subscribed)
        await asyncio.wait_for(self.room.connect(server_url, token), 10)
        track = rtc.LocalAudioTrack.create_audio_track("microphone", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self.room.local_participant.publish_track(track, options)
        self._tasks.append(asyncio.create_task(self._speak()))

    async def say(self, text: str) -> None:
        """Returns when it is on its way; the words take their time."""
        await voices.start_voices()
        self._words.put_nowait(encode(text, await voices.speak(text, "callee", 1.0)))

    async def hears(self, text: str, timeout_seconds: float = 30) -> None:
        async with asyncio.timeout(timeout_seconds):
            while text not in self.heard:
                await asyncio.sleep(0.05)

    async def leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self.room.disconnect()

    async def _speak(self) -> None:
        """Words, or silence, at the pace of the sound."""
        sound = b""
        while True:
            if not sound and not self._words.empty():
                sound = self._words.get_nowait()
            frame, sound = sound[: 2 * FRAME_SAMPLES], sound[2 * FRAME_SAMPLES :]
            frame = frame.ljust(2 * FRAME_SAMPLES, b"\0")
            await self._source.capture_frame(rtc.AudioFrame(frame, RATE, 1, FRAME_SAMPLES))

    def _subscribed(self, track: rtc.Track, *_: object) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            self._tasks.append(asyncio.create_task(self._hear(track)))

    async def _hear(self, track: rtc.Track) -> None:
        decoder = Decoder()
        stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1)
        async for event in stream:
            self.heard += decoder.push(bytes(event.frame.data))
