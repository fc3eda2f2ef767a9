"""What of a room's sound is heard, and which of the agent's words count as spoken."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from livekit import rtc
from livekit.agents.types import USERDATA_TIMED_TRANSCRIPT, TimedString
from livekit.agents.voice import io

from bolti_server.lines.room_sound import AnsweredInput, PlayedWords, keep_awake

RATE = 16_000


def frame(ms: int = 20, words: Sequence[TimedString] = ()) -> rtc.AudioFrame:
    samples = RATE * ms // 1000
    made = rtc.AudioFrame(bytes(2 * samples), RATE, 1, samples)
    if words:
        made.userdata[USERDATA_TIMED_TRANSCRIPT] = list(words)
    return made


def said(text: str, ends_at: float) -> TimedString:
    return TimedString(text, start_time=0.0, end_time=ends_at)


class Track(io.AudioInput):
    def __init__(self, frames: list[rtc.AudioFrame]) -> None:
        super().__init__(label="track")
        self._frames = frames

    async def __anext__(self) -> rtc.AudioFrame:
        if not self._frames:
            raise StopAsyncIteration
        return self._frames.pop(0)


class Device(io.AudioOutput):
    """Plays at a test's word."""

    def __init__(self) -> None:
        super().__init__(label="device", capabilities=io.AudioOutputCapabilities(pause=True))

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)

    def flush(self) -> None:
        super().flush()

    def clear_buffer(self) -> None:
        """Nothing is buffered."""

    def played(self, seconds: float, *, interrupted: bool) -> None:
        self.on_playback_finished(
            playback_position=seconds, interrupted=interrupted, synchronized_transcript="estimate"
        )


class Played:
    def __init__(self) -> None:
        self.device = Device()
        self.began = 0
        self.output = PlayedWords(self.device, RATE, self._begin)
        self.transcripts: list[str | None] = []
        self.output.on(
            "playback_finished",
            lambda event: self.transcripts.append(event.synchronized_transcript),
        )

    def _begin(self) -> None:
        self.began += 1

    async def say(self, *words: TimedString) -> None:
        await self.output.capture_frame(frame(words=words))
        await self.output.capture_frame(frame())
        self.output.flush()


async def test_what_comes_before_the_answer_is_heard_by_nobody() -> None:
    frames = [frame(), frame(), frame()]
    heard = AnsweredInput(Track(list(frames)))
    first = asyncio.create_task(anext(heard))
    await asyncio.wait({first})
    assert isinstance(first.exception(), StopAsyncIteration)

    heard = AnsweredInput(Track(list(frames)))
    heard.open()
    assert await anext(heard) is frames[0]
    assert heard.has_sound.is_set()


async def test_an_interrupted_turn_keeps_the_words_whose_sound_was_played() -> None:
    played = Played()
    await played.say(said("Hello", 0.4), said(" there,", 0.9), said(" you.", 1.4))
    played.device.played(0.95, interrupted=True)

    assert played.transcripts == ["Hello there,"]


async def test_a_turn_that_was_heard_out_keeps_what_the_synchronizer_says() -> None:
    played = Played()
    await played.say(said("Hello", 0.4))
    played.device.played(0.5, interrupted=False)

    assert played.transcripts == ["estimate"]


async def test_a_voice_that_times_no_words_is_left_to_the_synchronizer() -> None:
    played = Played()
    await played.say()
    played.device.played(0.5, interrupted=True)

    assert played.transcripts == ["estimate"]


async def test_each_turn_is_counted_by_its_own_words() -> None:
    played = Played()
    await played.say(said("One", 0.4), said(" two", 0.8))
    played.device.played(0.5, interrupted=True)
    await played.say(said("Three", 0.3), said(" four", 0.9))
    played.device.played(0.4, interrupted=True)

    assert played.transcripts == ["One", "Three"]


async def test_everything_else_goes_on_while_a_long_text_comes_at_once() -> None:
    played, turns = Played(), 0

    async def something_else() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(something_else())
    for _ in range(40):
        await played.output.capture_frame(frame(500))
    other.cancel()

    assert turns >= 40


async def test_the_silence_before_the_first_words_ends_with_them() -> None:
    played = Played()
    await played.say(said("One", 0.4))
    await played.say(said("Two", 0.4))

    assert played.began == 1


class Source:
    sample_rate = RATE
    queued_duration = 0.0

    def __init__(self) -> None:
        self.sent: list[rtc.AudioFrame] = []
        self.has_sent_some = asyncio.Event()

    async def capture_frame(self, sent: rtc.AudioFrame) -> None:
        self.sent.append(sent)
        if len(self.sent) == 3:
            self.has_sent_some.set()


async def test_silence_keeps_the_track_awake() -> None:
    source = Source()
    awake = asyncio.create_task(keep_awake(cast(Any, source)))
    await asyncio.wait_for(source.has_sent_some.wait(), 5)
    awake.cancel()

    assert all(bytes(each.data) == bytes(len(each.data) * 2) for each in source.sent)
    assert source.sent[0].duration == 0.02
