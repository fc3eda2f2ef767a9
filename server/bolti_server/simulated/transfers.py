"""What becomes of a call that is handed over to a number of the simulated network. Pure; both simulated lines use it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import attrs
from livekit import rtc

from bolti_server.lines.line import TransferFailed
from bolti_server.simulated.callees import callee_at

TRANSFER_RING_MS = 5_000  # how long a transfer rings before it comes back


@attrs.frozen
class Transfer:
    """It rings for so long; then somebody takes the call, or it comes back."""

    ring_ms: int
    failure: TransferFailed | None


def transfer_to(number: str) -> Transfer:
    target = callee_at(number)
    ring_ms = TRANSFER_RING_MS if target.ring_ms is None else target.ring_ms
    if target.refusal is not None:
        failure = TransferFailed(target.refusal.code, target.refusal.sip_status)
        return Transfer(min(ring_ms, TRANSFER_RING_MS), failure)
    if target.ring_ms is None or ring_ms > TRANSFER_RING_MS:
        nobody = TransferFailed("no_answer", None, "It rang, and nobody picked up.")
        return Transfer(TRANSFER_RING_MS, nobody)
    return Transfer(ring_ms, None)


class ShortGuest:
    """A `lines.line.Guest` that has heard the introduction, and hangs up: on a simulated line two callees have nothing to
    say to each other. In a room they talk (phone_network)."""

    has_left = False

    async def wait_until_left(self) -> None:
        """At once."""

    async def sound(self) -> AsyncIterator[rtc.AudioFrame]:
        nothing: tuple[rtc.AudioFrame, ...] = ()
        for frame in nothing:
            yield frame
