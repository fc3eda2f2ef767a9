"""The callee's telephone on a line of sound: the verbs of `simulated.phone`, in steps of the line's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal, NoReturn

import numpy as np

from bolti_server.simulated.callee_ear import Ear
from bolti_server.simulated.callee_mouth import Mouth
from bolti_server.simulated.modem import encode
from bolti_server.simulated.phone import (
    BEEP_MS,
    KEYS_END_AFTER_MS,
    PAUSE,
    PhoneDown,
    key_ms,
    keys_in,
)
from bolti_server.simulated.sound import FRAME_MS, RATE, to_pcm
from bolti_server.simulated.voices import speak

BEEP_HZ = 1_000
_BEEP_LEVEL = 0.25
_EDGE_SECONDS = 0.01  # a tone that begins at once clicks


class CalleePhone:
    """`on_key` gets each key that the callee presses. The line calls `tick` after every beat."""

    def __init__(
        self,
        mouth: Mouth,
        ear: Ear,
        voice: Literal["speech", "modem"],
        on_key: Callable[[str], None],
    ) -> None:
        self._mouth, self._ear, self._voice, self._on_key = mouth, ear, voice, on_key
        self._heard_turns = 0
        self._keys = ""
        self._last_key_ms = 0
        self._wishes: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self.position_ms = 0  # of sound since the answer

    def tick(self) -> None:
        """A beat has passed."""
        self.position_ms += FRAME_MS
        wishes, self._wishes = self._wishes, []
        for is_granted, future in wishes:
            if future.done():
                continue
            if is_granted():
                future.set_result(None)
            else:
                self._wishes.append((is_granted, future))

    def take_key(self, key: str) -> None:
        """The agent has pressed a key."""
        self._keys += key
        self._last_key_ms = self.position_ms

    # ---- simulated.phone.Phone ----

    async def wait_for_agent(self, *, patience_ms: int) -> str | None:
        deadline = self.position_ms + patience_ms
        await self._until(
            lambda: (
                not self._ear.is_turn_open
                and (len(self._ear.turns) > self._heard_turns or self.position_ms >= deadline)
            )
        )
        texts = self._ear.turns[self._heard_turns :]
        self._heard_turns += len(texts)
        return " ".join(texts) if texts else None

    async def hear_voice(self, voiced_ms: int, *, patience_ms: int) -> bool:
        deadline = self.position_ms + patience_ms
        await self._until(
            lambda: (
                (self._ear.is_turn_open and self._ear.voiced_ms >= voiced_ms)
                or self.position_ms >= deadline
            )
        )
        return self._ear.is_turn_open and self._ear.voiced_ms >= voiced_ms

    async def wait(self, ms: int) -> None:
        deadline = self.position_ms + ms
        await self._until(lambda: self.position_ms >= deadline)

    async def say(self, text: str) -> None:
        speech = await speak(text, "callee")
        await self._mouth.say(text, encode(text, speech) if self._voice == "modem" else speech)
        # What the agent said meanwhile is no answer to this; what it has begun to say may be.
        self._heard_turns = len(self._ear.turns)

    async def press(self, keys: str) -> None:
        for key in keys_in(keys):
            if key != PAUSE:
                self._on_key(key)
            await self.wait(key_ms(key))

    async def keys(self, *, patience_ms: int) -> str:
        deadline = self.position_ms + patience_ms
        await self._until(
            lambda: (
                self.position_ms - self._last_key_ms >= KEYS_END_AFTER_MS
                if self._keys
                else self.position_ms >= deadline
            )
        )
        keys, self._keys = self._keys, ""
        return keys

    async def noise(self, level: float, ms: int | None = None) -> None:
        self._mouth.make_noise(level, ms)

    async def beep(self, ms: int = BEEP_MS) -> None:
        await self._mouth.sound(tone(BEEP_HZ, ms))

    async def hang_up(self) -> NoReturn:
        raise PhoneDown

    async def _until(self, is_granted: Callable[[], bool]) -> None:
        """Returns at the first beat at which it holds."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wishes.append((is_granted, future))
        await future


def tone(hertz: float, ms: int) -> bytes:
    """PCM of RATE: a sine of `hertz`."""
    time = np.arange(RATE * ms // 1000) / RATE
    edge = np.minimum(1.0, np.minimum(time, ms / 1000 - time) / _EDGE_SECONDS)
    return to_pcm(np.sqrt(2) * _BEEP_LEVEL * edge * np.sin(2 * np.pi * hertz * time))
