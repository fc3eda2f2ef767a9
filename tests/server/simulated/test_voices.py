"""The voices: who speaks, how it is remembered, and what happens when the helper dies."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from collections.abc import AsyncIterator

import pytest

from bolti_server.simulated import voices
from bolti_server.simulated.espeak import HelperVoice, ProgramVoice, VoiceFailed
from bolti_server.simulated.sound import loudness, seconds_of
from bolti_server.simulated.tone_voice import ToneVoice
from bolti_server.simulated.voices import Voices, first_that_starts


@pytest.fixture
async def helper() -> AsyncIterator[HelperVoice]:
    if importlib.util.find_spec("espeakng_loader") is None:
        pytest.skip("the extra `voices` is not installed")
    voice = HelperVoice(answer_seconds=0.5)
    await voice.start()
    yield voice
    await voice.stop()


async def test_the_agent_and_the_callee_sound_different_and_a_text_sounds_the_same_again() -> None:
    agent = await voices.speak("The same words.", "agent")
    assert await voices.speak("The same words.", "agent") is agent
    assert await voices.speak("The same words.", "callee") != agent
    assert 0.5 < seconds_of(agent) < 2
    assert loudness(agent) > 0.03


async def test_speed_makes_it_shorter() -> None:
    slow, fast = [await voices.speak("How are you today?", "agent", speed) for speed in (1.0, 2.0)]
    assert seconds_of(fast) < 0.7 * seconds_of(slow)


async def test_hindi_is_spoken_as_hindi(helper: HelperVoice) -> None:
    spoken = await Voices(helper).speak("नमस्ते, आप कैसे हैं?", "agent")
    # Read as English, each letter would be spelled out by its name.
    assert 1.0 < seconds_of(spoken) < 3.0


async def test_a_helper_that_died_is_started_anew(helper: HelperVoice) -> None:
    await helper.speak("One.", "en-us", 165)
    first = helper.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert seconds_of(await helper.speak("Two.", "en-us", 165)) > 0.1
    assert helper.pid != first


async def test_a_helper_that_hangs_is_killed_and_started_anew(helper: HelperVoice) -> None:
    first = helper.pid
    assert first is not None
    os.kill(first, signal.SIGSTOP)
    assert seconds_of(await helper.speak("Two.", "en-us", 165)) > 0.1
    assert helper.pid != first


async def test_a_voice_that_there_is_not_is_refused_and_the_helper_lives(
    helper: HelperVoice,
) -> None:
    before = helper.pid
    with pytest.raises(VoiceFailed, match="no-such-voice"):
        await helper.speak("One.", "no-such-voice", 165)
    assert helper.pid == before


async def test_the_helper_is_another_process_and_nothing_here_has_loaded_espeak(
    helper: HelperVoice,
) -> None:
    assert helper.pid not in (None, os.getpid())
    assert "espeakng_loader" not in sys.modules
    with open("/proc/self/maps", encoding="utf-8") as maps:
        assert "espeak" not in maps.read()


class Broken(ToneVoice):
    async def start(self) -> None:
        raise VoiceFailed("no")


async def test_the_first_voice_that_starts_is_used() -> None:
    tone = ToneVoice()
    assert await first_that_starts([Broken(), tone, HelperVoice()]) is tone
    with pytest.raises(VoiceFailed):
        await first_that_starts([Broken()])


async def test_without_espeak_on_path_the_program_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(VoiceFailed, match="PATH"):
        await ProgramVoice().start()


async def test_tones_sound_for_every_word_and_never_differ() -> None:
    tone = ToneVoice()
    once = await tone.speak("Hello there, how are you?", "en-us+f3", 165)
    assert once == await tone.speak("Hello there, how are you?", "en-us+f3", 165)
    assert once != await tone.speak("Hello there, how are you?", "en-us+m3", 165)
    assert loudness(once) > 0.03
    assert await tone.speak("...", "en-us+f3", 165) == b""


async def test_what_was_said_long_ago_is_forgotten() -> None:
    counted = Counting()
    remembered = Voices(counted)
    await remembered.speak("first", "agent")
    for number in range(4):
        await remembered.speak(f"long {number}", "agent")
    await remembered.speak("long 3", "agent")
    assert counted.spoken == 5
    await remembered.speak("first", "agent")
    assert counted.spoken == 6


class Counting(ToneVoice):
    """Each text is a third of what is remembered."""

    spoken = 0

    async def speak(self, text: str, voice: str, words_per_minute: int) -> bytes:
        self.spoken += 1
        return bytes(voices.REMEMBERED_BYTES // 3)
