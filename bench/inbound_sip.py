"""A call that comes in over real SIP: from the caller's INVITE to the agent's first sound out of the caller's telephone.

CALLS calls one after the other, each with a warm process: livekit-sip in place of the phone network, baresip as the caller.
The INVITE's instant is when baresip is told to dial; the first sound's, when it began to write what it hears, and how far
into that the agent's voice begins. No reference: there is no smaller way of being called that could be measured beside it.

Runs where a `livekit-sip` is on PATH, in a network namespace of its own, which tools/stack.py makes.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import time
import wave
from pathlib import Path

from tests.stack.sip_phones import BaresipPhone, modem_words
from tests.stack.support.calls import Caller
from tests.stack.support.checks import until
from tests.stack.support.media import (
    MEDIA_ADDRESS,
    SIP_HEALTH_PORT,
    SIP_PORT,
    is_listening,
    livekit_sip,
)
from tests.stack.support.processes import wait_until_up
from tests.stack.support.stack import Stack

from bench import beside_livekit
from bench.not_here import NotHere
from bolti_server.simulated.sound import FRAME_MS, RATE, loudness

CALLS = 20
WARM = 4
LOUD = 0.01
OURS = "+15550009999"


def measure() -> dict[str, float]:
    """Milliseconds. Raises NotHere."""
    if not shutil.which("livekit-sip"):
        raise NotHere("there is no livekit-sip on PATH")
    return beside_livekit.figures_of("bench.inbound_sip")


async def measure_here(folder: Path) -> dict[str, float]:
    """In the namespace."""
    stack = Stack.prepare(folder)
    service = livekit_sip(folder, os.environ["BOLTI_STACK_LIVEKIT_SIP"], stack.redis, stack.livekit)
    try:
        await asyncio.to_thread(stack.start, ("worker-1",), BOLTI_WORKER_WARM=str(WARM))
        service.start()
        wait_until_up(service, lambda: is_listening(SIP_HEALTH_PORT))
        await asyncio.to_thread(stack.send_sip_to, stack.livekit.url)
        await stack.wait_for_workers(1)
        async with stack.client() as bolti:
            caller = Caller(stack, bolti)
            await is_called(caller)
            waits = [await call(caller, folder / f"phone-{index}", index) for index in range(CALLS)]
    finally:
        service.stop()
        await asyncio.to_thread(stack.stop)
    return {
        "calls": len(waits),
        "invite_to_speaking_p50_ms": statistics.median(waits),
        "invite_to_speaking_longest_ms": max(waits),
    }


async def is_called(caller: Caller) -> None:
    """An agent has a number that can be called."""
    agent = await caller.agent(first_message="Hello, this is Bolti.")
    trunk = await caller.bolti.trunks.create(
        name="In", inbound={"allowed_addresses": [f"{MEDIA_ADDRESS}/32"]}
    )
    number = await caller.bolti.trunks.add_number(trunk.id, phone_number=OURS)
    await caller.bolti.agent_phone_numbers.assign(agent, number_id=number.id, direction="inbound")

    async def is_ready() -> bool:
        return (await caller.bolti.trunks.get(trunk.id)).inbound_status == "ready"

    await until(is_ready, 30, "the SIP service knows the trunk")


async def call(caller: Caller, folder: Path, index: int) -> float:
    """From INVITE to sound, in milliseconds."""
    says = await modem_words((60, "Never said."))
    address = f"{MEDIA_ADDRESS}:{5090 + 2 * index}"
    with BaresipPhone(
        folder, address=address, number="+12125550127", says=says, is_answering=False
    ) as phone:
        dialed_at = time.time()
        phone.dial(f"sip:{OURS}@{MEDIA_ADDRESS}:{SIP_PORT}")

        async def heard() -> Path | None:
            return next(iter(folder.glob("dump-*-dec.wav")), None)

        file = await until(heard, 20, "the telephone hears something")
        began_at = time.time()
        await asyncio.sleep(2)
        phone.hang_up()
    await asyncio.sleep(4)  # until the next process is warm
    return 1000 * (began_at - dialed_at) + _silence_ms(file)


def _silence_ms(file: Path) -> float:
    with wave.open(str(file)) as sound:
        rate, pcm = sound.getframerate(), sound.readframes(sound.getnframes())
    assert rate in (8_000, RATE), rate
    step = 2 * rate * FRAME_MS // 1000
    for index, at in enumerate(range(0, len(pcm), step)):
        if loudness(pcm[at : at + step]) > LOUD:
            return float(index * FRAME_MS)
    raise AssertionError(f"nothing was heard in {file}")


if __name__ == "__main__":
    beside_livekit.main(measure_here)
