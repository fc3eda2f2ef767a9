"""The recording of a call, read off as a modem: exactly the callee's words on the left, the agent's on the right."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

import av
import numpy as np
import pytest
from livekit import rtc
from livekit.agents import AgentSession
from livekit.agents.voice import io
from tests.server.support.call_specs import HANG_UP, call_spec, rules
from tests.server.support.voice_calls import Call, Stage

from bolti_server.simulated.modem import Decoder, encode
from bolti_server.simulated.sound import RATE
from bolti_server.voice.recording import Recording
from bolti_server.worker_api.messages import LlmRule, TtsSpec

WISH = "Hi. I would like to book an appointment for tomorrow, please."


@pytest.fixture(scope="module")
async def recorded(stage: Stage) -> Call:
    """Beside the recording stands a copy of it that was made in the middle of the call."""
    spec = call_spec(
        greeting="Hello.",
        tts=TtsSpec(provider="simulated", voice="modem"),
        llm=rules(LlmRule(hear="appointment", say="Done. Bye.", tool=HANG_UP)),
        is_recording_enabled=True,
    )
    call = stage.place(spec)
    await call.server.wait_for_report("turn", count=2)
    file = call.server.recording_file()
    async with asyncio.timeout(5):  # it is written every 2.5 seconds
        while not file.exists() or file.stat().st_size < 10_000:
            await asyncio.sleep(0.05)
    shutil.copy(file, file.with_name("half.ogg"))
    await call.over
    return call


def channels_of(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Left and right as 16-bit samples of RATE."""
    parts = []
    with av.open(str(file)) as container:
        resampler = av.AudioResampler(format="s16", layout="stereo", rate=RATE)
        for frame in container.decode(audio=0):
            parts += [part.to_ndarray() for part in resampler.resample(frame)]
    samples = np.concatenate([part.reshape(-1) for part in parts]).reshape(-1, 2)
    return samples[:, 0], samples[:, 1]


def words_of(samples: np.ndarray) -> list[str]:
    return Decoder().push(samples.astype("<i2").tobytes() + bytes(2 * RATE))


async def test_the_recording_is_stereo_opus_and_told_of(recorded: Call) -> None:
    assert recorded.server.end.has_recording
    with av.open(str(recorded.server.recording_file())) as container:
        stream = container.streams.audio[0]
        assert (container.format.name, stream.codec.name, stream.channels) == ("ogg", "opus", 2)


async def test_the_callee_is_on_the_left_and_the_agent_on_the_right_word_for_word(
    recorded: Call,
) -> None:
    left, right = channels_of(recorded.server.recording_file())

    assert words_of(left) == [WISH]
    assert words_of(right) == ["Hello.", "Done. Bye."]


async def test_a_turns_time_since_the_answer_is_its_place_in_the_recording(recorded: Call) -> None:
    left, right = channels_of(recorded.server.recording_file())

    for turn in recorded.server.turns:
        channel = right if turn.role == "agent" else left
        at = turn.start_ms * RATE // 1000
        before = np.abs(channel[max(0, at - RATE // 2) : max(0, at - RATE // 5)].astype(int))
        after = np.abs(channel[at + RATE // 5 : at + RATE // 2].astype(int))
        assert after.mean() > 500, turn
        assert before.size == 0 or before.mean() < 50, turn


async def test_the_modem_recognizer_read_the_callees_exact_words(recorded: Call) -> None:
    assert recorded.server.words == [
        ("agent", "Hello."),
        ("user", WISH),
        ("agent", "Done. Bye."),
    ]


async def test_what_was_said_is_on_disk_while_the_call_goes_on(recorded: Call) -> None:
    left, right = channels_of(recorded.server.recording_file().with_name("half.ogg"))

    assert words_of(right)[0] == "Hello."
    assert len(left) < 8 * RATE


class _Line(io.AudioInput):
    """Frames of 20 ms at real time; where the process is held up, they have waited and come at once."""

    def __init__(self, pcm: bytes) -> None:
        super().__init__(label="line")
        self._frames = [pcm[at : at + 640].ljust(640, b"\0") for at in range(0, len(pcm), 640)]
        self._began = time.monotonic()
        self._given = 0

    async def __anext__(self) -> rtc.AudioFrame:
        if self._given == len(self._frames):
            raise StopAsyncIteration
        self._given += 1
        await asyncio.sleep(max(0.0, self._began + 0.02 * self._given - time.monotonic()))
        return rtc.AudioFrame(self._frames[self._given - 1], RATE, 1, 320)


class _Nowhere(io.AudioOutput):
    def __init__(self) -> None:
        super().__init__(label="nowhere", capabilities=io.AudioOutputCapabilities(pause=False))

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)

    def flush(self) -> None:
        super().flush()

    def clear_buffer(self) -> None:
        pass


async def _heard(source: io.AudioInput) -> AsyncIterator[int]:
    count = 0
    async for _frame in source:
        count += 1
        yield count


async def test_a_process_that_is_held_up_leaves_no_hole_in_the_callees_words(
    tmp_path: Path,
) -> None:
    session: AgentSession[None] = AgentSession(
        vad=None, turn_handling={"turn_detection": "manual", "interruption": {"mode": "vad"}}
    )
    session.output.audio = _Nowhere()
    session.input.audio = _Line(encode("Word for word."))
    recording = Recording(session, tmp_path / "held_up.ogg")
    await recording.start()
    assert session.input.audio is not None
    async for count in _heard(session.input.audio):
        if count % 25 == 0:
            time.sleep(0.3)  # noqa: TID251 - the whole process stands still, as on a machine with too much to do
    assert await recording.close()

    left, _right = channels_of(tmp_path / "held_up.ogg")
    assert words_of(left) == ["Word for word."]
