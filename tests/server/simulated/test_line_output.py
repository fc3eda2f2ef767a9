"""What a session is told about playback, without a session: segments start at most once and finish exactly once."""

from __future__ import annotations

import asyncio
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from livekit import rtc
from livekit.agents.types import USERDATA_TIMED_TRANSCRIPT
from livekit.agents.voice.io import PlaybackFinishedEvent, PlaybackProgressedEvent, TimedString

from bolti_server.simulated.line_output import BUFFERED_BYTES, LineOutput
from bolti_server.simulated.sound import FRAME_BYTES, FRAME_SAMPLES, RATE, SILENCE

LOUD = b"\1\2"


class Played:
    """A line output with everything it reported, and everything the callee heard."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.output = LineOutput(self.words.append)
        self.started: list[float] = []
        self.finished: list[PlaybackFinishedEvent] = []
        self.runs: list[PlaybackProgressedEvent] = []
        self.heard = bytearray()
        self.beats = 0
        self.output.on("playback_started", lambda event: self.started.append(event.created_at))
        self.output.on("playback_finished", self.finished.append)
        self.output.on("playback_progressed", self.runs.append)

    def tick(self, times: int = 1) -> None:
        for _ in range(times):
            self.heard += self.output.tick(self.beats * 0.02)
            self.beats += 1

    async def capture(self, samples: int) -> None:
        """Hands over a frame; ticks while the output is full."""
        task = asyncio.create_task(self.output.capture_frame(frame(samples)))
        for _ in range(1000):
            await asyncio.sleep(0)
            if task.done():
                return
            self.tick()
        raise AssertionError("the output took no more, though it was played")

    @property
    def heard_samples(self) -> int:
        return (len(self.heard) - self.heard.count(b"\0")) // 2


def frame(samples: int, words: list[TimedString] | None = None) -> rtc.AudioFrame:
    data = {} if words is None else {USERDATA_TIMED_TRANSCRIPT: words}
    return rtc.AudioFrame(LOUD * samples, RATE, 1, samples, userdata=data)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("capture"), st.integers(1, 2 * FRAME_SAMPLES)),
        st.tuples(st.just("tick"), st.integers(1, 5)),
        st.tuples(st.sampled_from(["flush", "clear", "pause", "resume", "close"]), st.just(0)),
    ),
    max_size=40,
)


@given(STEPS)
@settings(deadline=None, max_examples=300)
def test_every_segment_is_finished_exactly_once_and_started_before_it(
    steps: list[tuple[str, int]],
) -> None:
    asyncio.run(_play(steps))


async def _play(steps: list[tuple[str, int]]) -> None:
    played = Played()
    is_capturing = is_closed = False
    for step, count in steps:
        match step:
            case "capture":
                await played.capture(count)
                is_capturing = True
            case "tick":
                played.tick(count)
            case "flush":
                played.output.flush()
                is_capturing = False
            case "clear":
                played.output.clear_buffer()
            case "pause":
                played.output.pause()
            case "resume":
                played.output.resume()
            case _:
                played.output.close()
                is_closed = True
    if is_capturing:
        played.output.flush()
    played.output.resume()
    played.tick(BUFFERED_BYTES // FRAME_BYTES + 100)
    assert len(played.finished) == played.output.captured_playout_segments
    with_sound = [event for event in played.finished if event.playback_position > 0]
    assert len(played.started) == len(with_sound)
    positions = round(sum(event.playback_position for event in played.finished) * RATE)
    assert positions == played.heard_samples, "positions are what the callee heard"
    assert round(sum(run.duration for run in played.runs) * RATE) == positions
    if not is_closed:
        assert (await asyncio.wait_for(played.output.wait_for_playout(), 1)) is not None


async def test_a_segment_that_was_played_to_its_end_is_not_interrupted() -> None:
    played = Played()
    await played.output.capture_frame(frame(2 * FRAME_SAMPLES + 10))
    played.output.flush()
    played.tick(3)
    assert played.finished == [], "the last sample sounds until the next beat"
    played.tick()
    assert [(event.playback_position, event.interrupted) for event in played.finished] == [
        ((2 * FRAME_SAMPLES + 10) / RATE, False)
    ]
    assert played.started == [0.0]


async def test_what_was_cleared_is_not_heard_and_neither_is_the_rest_of_its_segment() -> None:
    played = Played()
    await played.output.capture_frame(frame(10 * FRAME_SAMPLES))
    played.tick(2)
    played.output.clear_buffer()
    await played.output.capture_frame(frame(10 * FRAME_SAMPLES))
    played.tick(5)
    played.output.flush()
    assert played.heard_samples == 2 * FRAME_SAMPLES
    assert [(event.playback_position, event.interrupted) for event in played.finished] == [
        (0.04, True)
    ]
    await played.output.capture_frame(frame(FRAME_SAMPLES))
    played.output.flush()
    played.tick(2)
    assert [event.interrupted for event in played.finished] == [True, False]


async def test_the_session_waits_while_more_than_a_second_is_buffered() -> None:
    played = Played()
    await played.output.capture_frame(frame(BUFFERED_BYTES // 2))
    waiting = asyncio.create_task(played.output.capture_frame(frame(FRAME_SAMPLES)))
    await asyncio.sleep(0)
    assert not waiting.done()
    played.tick()
    await asyncio.wait_for(waiting, 1)


async def test_hanging_up_frees_a_session_that_waits_for_room() -> None:
    played = Played()
    waiting = asyncio.create_task(played.output.capture_frame(frame(BUFFERED_BYTES)))
    await asyncio.sleep(0)
    played.output.close()
    await asyncio.wait_for(waiting, 1)
    played.output.flush()
    await played.output.capture_frame(frame(FRAME_SAMPLES))
    played.output.flush()
    assert [event.interrupted for event in played.finished] == [True, True]
    await asyncio.wait_for(played.output.wait_for_playout(), 1)


async def test_a_pause_is_silence_and_the_recorder_learns_where_it_was() -> None:
    played = Played()
    await played.output.capture_frame(frame(4 * FRAME_SAMPLES))
    played.output.flush()
    played.tick(2)
    played.output.pause()
    played.tick(3)
    played.output.resume()
    played.tick(3)
    assert played.heard[2 * FRAME_BYTES : 5 * FRAME_BYTES] == 3 * SILENCE
    assert [(round(run.started_at, 2), run.offset, run.duration) for run in played.runs] == [
        (0.0, 0.0, 0.04),
        (0.1, 0.04, 0.04),
    ]
    assert len(played.started) == 1


async def test_words_with_times_are_heard_when_their_sound_has_been_played() -> None:
    played = Played()
    words = [TimedString("one", 0.0, 0.03), TimedString(" two", 0.03, 0.06)]
    await played.output.capture_frame(frame(4 * FRAME_SAMPLES, words))
    played.tick()
    assert played.words == []
    played.tick()
    assert played.words == ["one"]
    played.output.clear_buffer()
    assert played.output.heard_last == "one"
    played.output.flush()
    await played.output.capture_frame(frame(FRAME_SAMPLES))
    played.output.flush()
    played.tick(2)
    assert played.output.heard_last is None, "a voice without times: the synchronizer knows better"


async def test_nothing_is_reported_twice_to_livekit(caplog: pytest.LogCaptureFixture) -> None:
    played = Played()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await played.output.capture_frame(frame(FRAME_SAMPLES))
            played.output.clear_buffer()
            played.output.clear_buffer()
            played.output.flush()
            played.tick(3)
    assert caplog.records == []
    assert len(played.finished) == 3
