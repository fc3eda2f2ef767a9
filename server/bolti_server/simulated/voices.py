"""Speech for the simulated network: the agent's voice and the callee's, by whatever this machine can speak with.

espeak-ng from the `espeakng-loader` wheel in a helper process; else `espeak-ng` on PATH; else tones. Which one is said
once in the log. One for the process: `start_voices()` at a worker's start, `stop_voices()` at its end; a text that is spoken
before starts it. The same text sounds the same as long as it is remembered (espeak alone adds breath at random).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from typing import Literal, Protocol

from bolti_server.base.logging import get_logger
from bolti_server.simulated.espeak import HelperVoice, ProgramVoice, VoiceFailed
from bolti_server.simulated.tone_voice import ToneVoice

WORDS_PER_MINUTE = 165
REMEMBERED_BYTES = 32_000_000  # about 17 minutes
_SLOWEST, _FASTEST = 80, 450  # what espeak can be understood at

Speaker = Literal["agent", "callee"]
# A woman answers for the agent and a man for the callee, so that a recording's two sides are told apart by ear.
_VARIANTS: dict[Speaker, str] = {"agent": "f3", "callee": "m3"}
# The first letter that belongs to a script decides; Latin is read as English.
_SCRIPTS = (
    ("\u0400", "\u04ff", "ru"),
    ("\u0600", "\u06ff", "ur"),
    ("\u0900", "\u097f", "hi"),
    ("\u0980", "\u09ff", "bn"),
    ("\u0a00", "\u0a7f", "pa"),
    ("\u0a80", "\u0aff", "gu"),
    ("\u0b80", "\u0bff", "ta"),
    ("\u0c00", "\u0c7f", "te"),
    ("\u0c80", "\u0cff", "kn"),
    ("\u0d00", "\u0d7f", "ml"),
)

log = get_logger("simulated")


class Voice(Protocol):
    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def speak(self, text: str, voice: str, words_per_minute: int) -> bytes: ...


class Voices:
    """What speaks, and what it has said."""

    def __init__(self, voice: Voice) -> None:
        self._voice = voice
        self._said: OrderedDict[tuple[str, str, int], bytes] = OrderedDict()
        self._said_bytes = 0

    async def stop(self) -> None:
        await self._voice.stop()

    async def speak(self, text: str, speaker: Speaker, speed: float = 1.0) -> bytes:
        """PCM at the line's rate; `speed` 1 is the voice's own. Raises VoiceFailed."""
        pace = min(max(round(WORDS_PER_MINUTE * speed), _SLOWEST), _FASTEST)
        voice = f"{_language_of(text)}+{_VARIANTS[speaker]}"
        key = (text, voice, pace)
        if key in self._said:
            self._said.move_to_end(key)
            return self._said[key]
        sound = await self._voice.speak(text, voice, pace)
        if key not in self._said:
            self._said[key] = sound
            self._said_bytes += len(sound)
        while self._said_bytes > REMEMBERED_BYTES:
            _, forgotten = self._said.popitem(last=False)
            self._said_bytes -= len(forgotten)
        return sound


class _OfThisProcess:
    """The one that is running, and the event loop it belongs to: a pipe can't be used from another."""

    voices: Voices | None = None
    loop: asyncio.AbstractEventLoop | None = None


async def start_voices() -> None:
    """Chooses and starts what speaks, so that the first call does not wait for it (0.1-0.3 s). Safe to repeat."""
    await _current_voices()


async def stop_voices() -> None:
    """Ends the helper process; safe to repeat. The next text starts another."""
    voices, loop = _OfThisProcess.voices, _OfThisProcess.loop
    _OfThisProcess.voices = _OfThisProcess.loop = None
    if voices is not None and loop is asyncio.get_running_loop():
        await voices.stop()


async def speak(text: str, speaker: Speaker, speed: float = 1.0) -> bytes:
    """PCM at the line's rate, in the voice of the agent or the callee. Raises VoiceFailed."""
    voices = await _current_voices()
    return await voices.speak(text, speaker, speed)


async def _current_voices() -> Voices:
    loop = asyncio.get_running_loop()
    if _OfThisProcess.voices is None or _OfThisProcess.loop is not loop:
        voices = Voices(await first_that_starts(_candidates()))
        if _OfThisProcess.voices is not None and _OfThisProcess.loop is loop:
            await voices.stop()  # another call was faster
        else:
            _OfThisProcess.voices, _OfThisProcess.loop = voices, loop
    return _OfThisProcess.voices


async def first_that_starts(candidates: Iterable[Voice]) -> Voice:
    """The first that starts; the last is expected to. What is used, and why not the ones before, is logged."""
    for voice in candidates:
        try:
            await voice.start()
        except VoiceFailed as error:
            log.warning("voice_not_available", voice=type(voice).__name__, reason=str(error))
            continue
        log.info("voice_chosen", voice=type(voice).__name__)
        return voice
    raise VoiceFailed("no voice starts on this machine")


def _candidates() -> list[Voice]:
    return [HelperVoice(), ProgramVoice(), ToneVoice()]


def _language_of(text: str) -> str:
    for letter in text:
        for first, last, language in _SCRIPTS:
            if first <= letter <= last:
                return language
    return "en-us"
