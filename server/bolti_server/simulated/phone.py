"""What a scripted callee can do with its telephone. Times are the line's: milliseconds of sound, not of the clock."""

from __future__ import annotations

from typing import Protocol


class Phone(Protocol):
    async def hear_turn(self, *, patience_ms: int) -> str | None:
        """The agent's words when it has finished speaking; None where it does not begin within `patience_ms`.

        What it said, and ended, while the callee itself was speaking is passed over.
        """
        ...

    async def hear_voice(self, voiced_ms: int, *, patience_ms: int) -> bool:
        """True when the agent has been speaking for `voiced_ms`; False where it does not come to that in time."""
        ...

    async def wait(self, ms: int) -> None:
        """Does nothing for a while."""
        ...

    async def say(self, text: str) -> None:
        """Speaks; returns when it is said. Raises VoiceFailed."""
        ...

    def press(self, digits: str) -> None:
        """Presses keys (0-9, *, #)."""
        ...
