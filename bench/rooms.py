"""Calls in real rooms: a real livekit-server, the phone network of `bolti-server phone-network`, real workers.

Accepted → dial request: from the conversation's `created_at` to the request's arrival at the phone network, over 50 calls,
one after the other, each with a warm process. Answered → agent speaking (one call after the other) and turns (four calls at
once): from the records. The turn's reference is the same agent with the same callee on the simulated line, in the same run.
Calls per core: the reference is a bare AgentSession job under livekit-agents' own worker (bench/bare_agent.py) with the same
models, recording and callees; CPU time of the jobs' processes and of the worker's own, over the same seconds of talk. Kill:
from `kill -9` of the job's process to the first sound of the next agent, heard by a silent listener in the room.

Runs in a network namespace of its own, which tools/stack.py makes.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from livekit import api, rtc
from tests.stack.support.calls import PATIENT, Caller, callee, rule
from tests.stack.support.checks import until
from tests.stack.support.processes import Child
from tests.stack.support.stack import Stack

from bench import beside_livekit
from bench.bare_agent import AGENT_NAME as BARE
from bench.bare_agent import GREETING
from bolti_server.simulated.sound import RATE, loudness

DIALS = 50
DIAL_EVERY_SECONDS = 2.0  # as long as a fresh process takes to be warm, on two busy cores
TALKS = 8
TALKS_AT_ONCE = 4
KILLS = 20
CORE_CALLS = 4
CORE_SECONDS = 15.0
WARM = 6
LOUD = 0.01
TALK = callee(
    "answer",
    *[{"wait_for_agent": 8_000}, {"say": "Please go on."}] * 3,
    {"wait_for_agent": 8_000},
    "hang_up",
)


def measure() -> dict[str, float]:
    """Milliseconds, and ratios."""
    return beside_livekit.figures_of("bench.rooms")


async def measure_here(folder: Path) -> dict[str, float]:
    """In the namespace."""
    stack = Stack.prepare(folder)
    try:
        await asyncio.to_thread(
            stack.start, ("worker-1",), BOLTI_WORKER_WARM=str(WARM), BOLTI_WORKER_CAPACITY="20"
        )
        await stack.wait_for_workers(1)
        async with stack.client() as bolti:
            caller = Caller(stack, bolti)
            return {
                **await dials(caller),
                **await talks(caller),
                **await kills(caller),
                **await cores(caller),
            }
    finally:
        await asyncio.to_thread(stack.stop)


async def dials(caller: Caller) -> dict[str, float]:
    agent = await caller.agent(first_message=GREETING)
    waits: list[float] = []
    for _ in range(DIALS):
        began = time.monotonic()
        placed = await caller.place(agent, scenario="busy")
        call = await caller.ended(placed)
        (dial,) = [each for each in await caller.stack.dials() if each["room"] == placed]
        waits.append(1000 * (_instant(dial["at"]) - _instant(call.created_at)))
        await asyncio.sleep(max(0.0, DIAL_EVERY_SECONDS - (time.monotonic() - began)))
    return {
        "accepted_to_dial_p50_ms": statistics.median(waits),
        "accepted_to_dial_p95_ms": _p95(waits),
    }


async def talks(caller: Caller) -> dict[str, float]:
    """In rooms, and the same on the simulated line."""
    agent = await caller.agent(first_message=GREETING)
    found: dict[str, list[float]] = {"room": [], "audio": []}
    for _ in range(TALKS // TALKS_AT_ONCE):
        for line, turns in found.items():
            placed = [
                await caller.place(agent, script=TALK, line=line) for _ in range(TALKS_AT_ONCE)
            ]
            for call in await caller.all_ended(placed, 120):
                turns += [
                    turn.latency.end_to_end_ms
                    for turn in call.transcript
                    if turn.latency and turn.latency.end_to_end_ms is not None
                ]
    room, simulated = statistics.median(found["room"]), statistics.median(found["audio"])
    return {
        "turns_in_rooms": len(found["room"]),
        "turn_in_a_room_p50_ms": room,
        "turn_on_the_simulated_line_p50_ms": simulated,
        "turn_in_a_room_more_ms": room - simulated,
    }


async def kills(caller: Caller) -> dict[str, float]:
    agent = await caller.agent(rule("go on", "One moment, please."), first_message=GREETING)
    silences: list[float] = []
    answers: list[float] = []
    for _ in range(KILLS):
        placed = await caller.place(agent, script=PATIENT)
        await caller.has_turns(placed)
        listener = Listener()
        await listener.join(caller.stack, placed)
        process = caller.stack.job_of(placed)
        assert process is not None, placed
        killed_at = time.monotonic()
        os.kill(process, signal.SIGKILL)
        silences.append(1000 * (await listener.hears_another(killed_at) - killed_at))
        await caller.bolti.conversations.end(placed)
        answers.append((await caller.ended(placed)).transcript[0].start_ms)
        await listener.leave()
        await asyncio.sleep(DIAL_EVERY_SECONDS)  # two processes have to be warm again
    return {
        "answered_to_speaking_p50_ms": statistics.median(answers),
        "kill_to_next_agent_p50_ms": statistics.median(silences),
        "kill_to_next_agent_p95_ms": _p95(silences),
    }


class Listener:
    """Somebody in the room whom nobody sees. The next agent is another publication under the same identity."""

    def __init__(self) -> None:
        self._room = rtc.Room()
        self._tracks: list[str] = []
        self._loud_at: dict[str, float] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def join(self, stack: Stack, room: str) -> None:
        grants = api.VideoGrants(room_join=True, room=room, hidden=True, can_publish=False)
        token = api.AccessToken(stack.livekit.key, stack.livekit.secret)
        token = token.with_identity("listener").with_grants(grants)
        self._room.on("track_subscribed", self._subscribed)
        await self._room.connect(stack.livekit.url, token.to_jwt())

        async def has_agent() -> bool:
            return bool(self._tracks)

        await until(has_agent, 10, "the listener hears the agent's track")

    async def hears_another(self, since: float) -> float:
        """When the next agent was first heard (monotonic)."""
        before = set(self._tracks)

        async def look() -> float | None:
            later = [at for track, at in self._loud_at.items() if track not in before]
            return min(later, default=None)

        return await until(look, 30, "the next agent is heard")

    async def leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self._room.disconnect()

    def _subscribed(
        self, track: rtc.Track, _publication: object, participant: rtc.RemoteParticipant
    ) -> None:
        if participant.identity == "agent" and track.kind == rtc.TrackKind.KIND_AUDIO:
            self._tracks.append(track.sid)
            self._tasks.append(asyncio.create_task(self._listen(track)))

    async def _listen(self, track: rtc.Track) -> None:
        async for event in rtc.AudioStream(track, sample_rate=RATE, num_channels=1):
            if track.sid not in self._loud_at and loudness(bytes(event.frame.data)) > LOUD:
                self._loud_at[track.sid] = time.monotonic()


# ---- Calls per core ----


async def cores(caller: Caller) -> dict[str, float]:
    ours = await _our_share(caller)
    bare = await _bare_share(caller)
    return {
        "cpu_share_of_a_call": ours,
        "cpu_share_of_a_bare_job": bare,
        "calls_per_core_to_bare_ratio": bare / ours,
    }


async def _our_share(caller: Caller) -> float:
    stack = caller.stack
    agent = await caller.agent(first_message=GREETING)
    placed = [await caller.place(agent, script=PATIENT) for _ in range(CORE_CALLS)]
    await asyncio.gather(*[caller.has_turns(each, 2) for each in placed])
    jobs = [pid for each in placed if (pid := stack.job_of(each)) is not None]
    share = await _share(stack.workers["worker-1"].pid, jobs)
    await asyncio.gather(*[caller.bolti.conversations.end(each) for each in placed])
    await caller.all_ended(placed)
    return share


async def _bare_share(caller: Caller) -> float:
    stack = caller.stack
    worker = Child(
        "bare-agent",
        (sys.executable, "-m", "bench.bare_agent"),
        {**stack.environment, "BENCH_SIP_URL": stack.phone_network_url},
        stack.folder / "bare-agent.log",
    )
    worker.start()
    try:
        await until(lambda: _true(lambda: "registered" in worker.told()), 60, "the bare agent")
        files = [stack.folder / f"bare-{index}.pid" for index in range(CORE_CALLS)]
        await asyncio.gather(*[_bare_call(stack, file) for file in files])
        await until(lambda: _true(lambda: all(map(Path.exists, files))), 30, "the bare jobs")
        await until(lambda: _all_answered(stack, CORE_CALLS), 30, "the bare calls are answered")
        await asyncio.sleep(8)  # as long as our calls have talked when they are measured
        return await _share(worker.pid, [int(file.read_text()) for file in files])
    finally:
        for room in await stack.livekit.rooms():
            async with stack.livekit.api() as livekit:
                await livekit.room.delete_room(api.DeleteRoomRequest(room=room))
        worker.stop()


async def _bare_call(stack: Stack, file: Path) -> None:
    asked = {
        "pid_file": str(file),
        "number": "+12025550120",
        "callee": json.dumps({"voice": "modem", "script": PATIENT}),
    }
    request = api.CreateAgentDispatchRequest(
        agent_name=BARE, room=f"bare-{file.stem}", metadata=json.dumps(asked)
    )
    async with stack.livekit.api() as livekit:
        await livekit.agent_dispatch.create_dispatch(request)


async def _all_answered(stack: Stack, count: int) -> bool:
    answered = [
        dial
        for dial in await stack.dials()
        if dial["room"].startswith("bare-") and dial["answered_at"]
    ]
    return len(answered) == count


async def _true(claim: Callable[[], bool]) -> bool:
    return claim()


async def _share(worker: int, jobs: Sequence[int]) -> float:
    """Of a core, for each call: the jobs' processes and the worker's own."""
    pids = [worker, *jobs]
    before = sum(map(_cpu_seconds, pids))
    began = time.monotonic()
    await asyncio.sleep(CORE_SECONDS)
    spent = sum(map(_cpu_seconds, pids)) - before
    return spent / (time.monotonic() - began) / len(jobs)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _instant(told: str) -> float:
    return datetime.fromisoformat(told).timestamp()


def _p95(values: list[float]) -> float:
    return sorted(values)[max(0, math.ceil(0.95 * len(values)) - 1)]


if __name__ == "__main__":
    beside_livekit.main(measure_here)
