"""What a scripted callee can do with its telephone, whatever the line is made of.

Rules of the verbs, on the line that carries sound and on the one that carries text alike:

- Times are the line's: milliseconds since the answer that both sides have lived through, not of the clock.
- A verb that takes time returns when that time has passed on the line; one that waits for something returns at the first
  moment at which it has happened, or when `patience_ms` is over. Nothing that was missed is an error: it answers None,
  False or "".
- Words and keys of the agent are given out once: what a verb has answered with, the next does not answer with again.
- When the callee's script is at its end it hangs up. After `hang_up` nothing more of the script happens.
"""

from __future__ import annotations

from typing import NoReturn, Protocol

BEEP_MS = 500
KEYS = frozenset("0123456789*#ABCD")
KEY_MS = 200  # that a key takes, pause included, whoever presses it
PAUSE = "w"
PAUSE_MS = 500
# Keys that the agent presses one soon after another belong together; after this much without one, they are all there.
KEYS_END_AFTER_MS = 1_000


class PhoneDown(Exception):
    """The callee has hung up: what is left of its script does not happen. Who runs the script catches it."""


def keys_in(keys: str) -> str:
    """`keys` as they are. Raises ValueError for one that no telephone has."""
    unknown = set(keys) - KEYS - {PAUSE}
    if unknown:
        raise ValueError(f"a telephone has no key {min(unknown)!r}")
    return keys


def key_ms(key: str) -> int:
    """How long it takes to press it."""
    return PAUSE_MS if key == PAUSE else KEY_MS


class Phone(Protocol):
    async def wait_for_agent(self, *, patience_ms: int) -> str | None:
        """The agent's words when it has finished a turn; None where it does not begin one within `patience_ms`.

        A turn is over when the agent has been silent for a moment (`callee_ear.END_OF_TURN_MS`); one that goes on when
        patience ends is heard to its end. Several that ended since the last question come joined. What the agent said,
        and ended, while the callee itself was speaking is passed over: it is no answer to what the callee said.
        """
        ...

    async def hear_voice(self, voiced_ms: int, *, patience_ms: int) -> bool:
        """True as soon as the agent has been speaking for `voiced_ms` in a turn that goes on; False where it does not
        come to that within `patience_ms`. The turn can still be had by `wait_for_agent`."""
        ...

    async def wait(self, ms: int) -> None:
        """Does nothing for a while, and hears what happens meanwhile: this is how a callee is silent."""
        ...

    async def say(self, text: str) -> None:
        """Speaks; returns when it is said, whether or not the agent speaks over it. Raises VoiceFailed where this
        machine has no voice."""
        ...

    async def press(self, keys: str) -> None:
        """Presses keys, one after another: 0-9, *, #, A-D, and w for a pause. Raises ValueError for any other."""
        ...

    async def keys(self, *, patience_ms: int) -> str:
        """The keys that the agent has pressed since the last question; waits for the first for `patience_ms` at most,
        and then until no other comes for KEYS_END_AFTER_MS. "" where none came."""
        ...

    async def noise(self, level: float, ms: int | None = None) -> None:
        """From now on there is noise behind the callee, for `ms` (None: until the end, or until another call of this);
        returns at once. `level` is its root mean square, 0 (none) to 1: 0.01 is a quiet office, 0.03 a busy street
        (the callee's own voice has 0.08). Noise carries no words and ends no turn."""
        ...

    async def beep(self, ms: int = BEEP_MS) -> None:
        """A tone of 1000 Hz, as a voicemail gives before it records; returns when it is over. It carries no words."""
        ...

    async def hang_up(self) -> NoReturn:
        """Puts the telephone down: the call ends with `remote_hangup`. Raises PhoneDown, which ends the script."""
        ...
