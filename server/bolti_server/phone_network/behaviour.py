"""Bad luck on order: what the phone network does to the next requests. For tests of whatever dials through it."""

from __future__ import annotations

from collections import deque
from enum import StrEnum

import attrs

MOST_WAITING = 1_000


class Behaviour(StrEnum):
    CPU_EXHAUSTED = "cpu_exhausted"  # 503 `unavailable`; nothing is dialed
    SWALLOW = "swallow"  # dials as asked, and never answers the HTTP request
    ANSWER_LATE = "answer_late"  # dials as asked; the HTTP answer comes 3 s later
    ERROR_AFTER_DIALING = (
        "error_after_dialing"  # dials as asked, and answers 500 without a SIP status
    )
    NO_AUDIO = "no_audio"  # answers and sends no sound at all
    TRANSFER_REFUSED = "transfer_refused"  # the provider takes no transfers: 603 at once
    TRANSFER_UNANSWERED = "transfer_unanswered"  # it never says what became of one
    LEG_OUTLIVES_ROOM = "leg_outlives_room"  # comes back into the room when that was closed
    LEG_LOST = "leg_lost"  # two seconds after the answer it is gone without a goodbye


_OF_TRANSFERS = frozenset({Behaviour.TRANSFER_REFUSED, Behaviour.TRANSFER_UNANSWERED})


@attrs.frozen
class Order:
    """Bad luck for the next request; `number`: only where this number is dialed, or transferred to."""

    behaviour: Behaviour
    number: str | None = None


class Behaviours:
    """What is waiting to happen, each once, to the next dial or transfer that it fits."""

    def __init__(self) -> None:
        self._waiting: deque[Order] = deque(maxlen=MOST_WAITING)

    @property
    def waiting(self) -> list[Order]:
        return list(self._waiting)

    def add(self, order: Order, times: int = 1) -> None:
        self._waiting.extend([order] * times)

    def clear(self) -> None:
        self._waiting.clear()

    def take_for_dial(self, number: str) -> Behaviour | None:
        return self._take(number, is_transfer=False)

    def take_for_transfer(self, number: str) -> Behaviour | None:
        return self._take(number, is_transfer=True)

    def _take(self, number: str, *, is_transfer: bool) -> Behaviour | None:
        for order in self._waiting:
            is_for_transfer = order.behaviour in _OF_TRANSFERS
            if is_for_transfer == is_transfer and order.number in (None, number):
                self._waiting.remove(order)
                return order.behaviour
        return None
