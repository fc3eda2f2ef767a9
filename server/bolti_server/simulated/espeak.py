"""Our end of the pipe to the helper process that speaks, and what else can: `espeak-ng` on PATH.

Rule: whatever happens to the helper, a text becomes sound or `VoiceFailed` within twice ANSWER_SECONDS: a helper that
died or hangs is killed and started anew, once per text.
"""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import sys
from typing import Any

import msgspec

from bolti_server.base.logging import get_logger
from bolti_server.simulated.sound import at_line_rate

START_SECONDS = 10.0
ANSWER_SECONDS = 5.0
LONGEST_TEXT = 5_000
_WAV_HEADER_BYTES = 44
_WAV_RATE = 22_050  # of every espeak-ng voice

log = get_logger("simulated")


class VoiceFailed(Exception):
    """The text could not be spoken; the message says why."""


class HelperVoice:
    """The helper process: one request at a time, in the event loop that it was started in."""

    def __init__(self, *, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._answer_seconds = answer_seconds
        self._process: asyncio.subprocess.Process | None = None
        self._one_at_a_time = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """Of the helper that runs; None where none does."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Starts the helper where it does not run. Raises VoiceFailed where it is not installed or does not come up."""
        if importlib.util.find_spec("espeakng_loader") is None:
            raise VoiceFailed("the extra is not installed: pip install 'bolti-server[voices]'")
        async with self._one_at_a_time:
            await self._start()

    async def speak(self, text: str, voice: str, words_per_minute: int) -> bytes:
        """PCM at the line's rate. Raises VoiceFailed."""
        request = {
            "text": text[:LONGEST_TEXT],
            "voice": voice,
            "words_per_minute": words_per_minute,
        }
        async with self._one_at_a_time:
            try:
                return await self._ask(request)
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                log.warning("voice_helper_lost", error=repr(error))
                await self._stop()
            try:
                return await self._ask(request)
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                await self._stop()
                raise VoiceFailed(
                    f"the voice helper died twice over one text: {error!r}"
                ) from error

    async def stop(self) -> None:
        """Ends the helper; safe to repeat. The next text starts another."""
        async with self._one_at_a_time:
            await self._stop()

    async def _ask(self, request: dict[str, Any]) -> bytes:
        process = await self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        async with asyncio.timeout(self._answer_seconds):
            process.stdin.write(msgspec.json.encode(request) + b"\n")
            await process.stdin.drain()
            head = await _read_head(process.stdout)
            if "error" in head:
                raise VoiceFailed(str(head["error"]))
            sound = await process.stdout.readexactly(int(head["bytes"]))
        return at_line_rate(sound, int(head["rate"]))

    async def _start(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bolti_server.simulated.espeak_process",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the worker, which stops its helper in order
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(START_SECONDS):
                await _read_head(process.stdout)
        except (TimeoutError, asyncio.IncompleteReadError) as error:
            await self._stop()
            raise VoiceFailed(f"the voice helper did not start: {error!r}") from error
        return process

    async def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.kill()
        await process.wait()


class ProgramVoice:
    """`espeak-ng` on PATH: a process per text."""

    async def start(self) -> None:
        """Nothing to start. Raises VoiceFailed where there is no such program."""
        if shutil.which("espeak-ng") is None:
            raise VoiceFailed("there is no espeak-ng on PATH")

    async def stop(self) -> None:
        """Nothing to stop."""

    async def speak(self, text: str, voice: str, words_per_minute: int) -> bytes:
        """PCM at the line's rate. Raises VoiceFailed."""
        process = await asyncio.create_subprocess_exec(
            "espeak-ng", "-v", voice, "-s", str(words_per_minute), "--stdin", "--stdout",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                wav, _ = await process.communicate(text[:LONGEST_TEXT].encode())
        except TimeoutError as error:
            process.kill()
            await process.wait()
            raise VoiceFailed("espeak-ng took too long") from error
        if process.returncode != 0:
            raise VoiceFailed(f"espeak-ng ended with {process.returncode}")
        sound = wav[_WAV_HEADER_BYTES:]  # a streamed header names no length
        return at_line_rate(sound[: len(sound) // 2 * 2], _WAV_RATE)


async def _read_head(stdout: asyncio.StreamReader) -> dict[str, Any]:
    line = await stdout.readuntil(b"\n")
    head: dict[str, Any] = msgspec.json.decode(line)
    return head
