"""What a telephone hears of several people at once."""

from __future__ import annotations

from collections import deque
from typing import Any, cast

import attrs
import numpy as np

from bolti_server.phone_network.hearing import Hearing
from bolti_server.simulated.sound import FRAME_SAMPLES


@attrs.define(eq=False)
class Source:
    """A track that brings what a test puts into it."""

    frames: deque[bytes] = attrs.Factory(deque)

    def brings(self, *levels: int) -> None:
        self.frames.extend(np.full(FRAME_SAMPLES, level, "<i2").tobytes() for level in levels)


def hearing_of(*sources: Source) -> Hearing:
    hearing = Hearing()
    cast(Any, hearing)._sources = dict(enumerate(sources))
    return hearing


def levels(heard: list[bytes]) -> list[int]:
    return [int(np.frombuffer(frame, "<i2")[0]) for frame in heard]


async def test_what_two_say_is_heard_at_once_also_where_one_comes_late() -> None:
    callee, agent = Source(), Source()
    hearing = hearing_of(callee, agent)
    callee.brings(1, 2, 3)
    agent.brings(10, 20)
    assert levels(hearing.take()) == [11, 22]
    assert levels(hearing.take()) == [], "the other's third is on its way"
    agent.brings(30, 40)
    assert levels(hearing.take()) == [33]


async def test_who_falls_silent_for_good_holds_nobody_up() -> None:
    callee, agent = Source(), Source()
    hearing = hearing_of(callee, agent)
    callee.brings(*range(1, 14))
    assert levels(hearing.take()) == [1, 2, 3], "ten frames are waited with, and no more"


async def test_one_alone_is_heard_as_it_comes() -> None:
    agent = Source()
    hearing = hearing_of(agent)
    agent.brings(1, 2)
    assert levels(hearing.take()) == [1, 2]
