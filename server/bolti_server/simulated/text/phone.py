"""The callee's telephone on a line of text: the verbs of `simulated.phone`, in virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from bolti_server.simulated.phone import (
    BEEP_MS,
    KEYS_END_AFTER_MS,
    PAUSE,
    PhoneDown,
    key_ms,
    keys_in,
)
from bolti_server.simulated.text.clock import VirtualClock

if TYPE_CHECKING:
    from bolti_server.simulated.text.line import TextLine

LONGEST_TURN_MS = 3600 * 1000


class TextPhone:
    """A `simulated.phone.Phone`."""

    def __init__(self, line: TextLine, clock: VirtualClock) -> None:
        self._line = line
        self._clock = clock
        self._heard_turns = 0
        self._keys = ""
        self._last_key_ms = 0

    async def wait_for_agent(self, *, patience_ms: int) -> str | None:
        line = self._line
        await self._clock.until(
            lambda: not line.is_turn_open and len(line.turns) > self._heard_turns,
            by_ms=self._clock.now_ms + patience_ms,
        )
        await self._clock.until(
            lambda: not line.is_turn_open, by_ms=self._clock.now_ms + LONGEST_TURN_MS
        )
        texts = line.turns[self._heard_turns :]
        self._heard_turns += len(texts)
        return " ".join(texts) if texts else None

    async def hear_voice(self, voiced_ms: int, *, patience_ms: int) -> bool:
        line, clock = self._line, self._clock
        deadline = clock.now_ms + patience_ms
        while clock.now_ms < deadline and not self._is_voice_heard(voiced_ms):
            if line.is_agent_speaking:
                enough_ms = clock.now_ms + voiced_ms - line.voiced_ms
                await clock.until(
                    lambda: not line.is_agent_speaking, by_ms=min(deadline, enough_ms)
                )
            else:
                await clock.until(lambda: line.is_agent_speaking, by_ms=deadline)
        return self._is_voice_heard(voiced_ms)

    async def wait(self, ms: int) -> None:
        await self._clock.sleep(ms)

    async def say(self, text: str) -> None:
        await self._line.callee_says(text)
        # What the agent said meanwhile is no answer to this; what it has begun to say may be.
        self._heard_turns = len(self._line.turns)

    async def press(self, keys: str) -> None:
        for key in keys_in(keys):
            if key != PAUSE:
                self._line.on_key(key)
            await self.wait(key_ms(key))

    async def keys(self, *, patience_ms: int) -> str:
        await self._clock.until(lambda: bool(self._keys), by_ms=self._clock.now_ms + patience_ms)
        while self._keys and self._clock.now_ms < self._last_key_ms + KEYS_END_AFTER_MS:
            await self._clock.until(_never, by_ms=self._last_key_ms + KEYS_END_AFTER_MS)
        keys, self._keys = self._keys, ""
        return keys

    async def noise(self, level: float, ms: int | None = None) -> None:
        """Nothing is heard of it: there is no sound."""

    async def beep(self, ms: int = BEEP_MS) -> None:
        await self._clock.sleep(ms)
        self._line.on_beep(ms)
        self._clock.look()

    async def hang_up(self) -> NoReturn:
        raise PhoneDown

    # ---- the agent's side ----

    def take_key(self, key: str) -> None:
        """The agent has pressed a key."""
        self._keys += key
        self._last_key_ms = self._clock.now_ms

    def _is_voice_heard(self, voiced_ms: int) -> bool:
        return self._line.is_turn_open and self._line.voiced_ms >= voiced_ms


def _never() -> bool:
    return False
