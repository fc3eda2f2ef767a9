"""Many calls, walked at random: whatever happens in whatever order, each ends once and the books are right.

The invariants of every slice are checked afterwards by the `world` fixture; here it is only made sure that terminal
statuses stay and that everything ends. A failure names the seed that shows it.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from tests.server.conftest import MoveTime
from tests.server.support.calls_public import Desk
from tests.server.support.worker_side import (
    Leased,
    ScriptedWorker,
    beat,
    is_claimable,
    run_deadlines,
    turn,
)

from bolti_server.calls import recordings
from bolti_server.calls.lifecycle import TERMINAL, HangupCode
from bolti_server.world import World

CALLEES = [f"+120255501{n:02}" for n in range(8)]
STEPS = 150


class Walk:
    """What one seed does to a workspace's calls."""

    def __init__(
        self, seed: int, world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime
    ) -> None:
        self.random = random.Random(seed)
        self.world, self.desk, self.worker, self.move_time = world, desk, worker, move_time
        self.placed: list[str] = []
        self.leased: list[Leased] = []
        self.over: dict[str, dict[str, Any]] = {}

    async def step(self) -> None:
        actions = [
            (self.place, 4),
            (self.claim, 5),
            (self.lose_claim, 1),
            (self.intent, 6),
            (self.report, 14),
            (self.end_by_user, 2),
            (self.heartbeat, 4),
            (self.recording, 2),
            (self.time, 2),
        ]
        action = self.random.choices([a for a, _ in actions], [weight for _, weight in actions])[0]
        await action()

    async def place(self) -> None:
        answer = await self.desk.call(self.random.choice(CALLEES))
        assert answer.status_code in (201, 409), answer.text
        if answer.status_code == 201:
            self.placed.append(answer.json()["conversation_id"])

    async def claim(self) -> None:
        waiting = await self.world.db.fetchval(
            "select count(*) from conversations where status = 'queued' and worker_id is null"
        )
        if waiting:  # else it would wait for one
            self.leased += await self.worker.claim_all(capacity=self.random.choice((1, 3)))

    async def lose_claim(self) -> None:
        await is_claimable(self.world)

    async def intent(self) -> None:
        if self.leased:
            answer = await self.any_call().intent(self.random.choice(("a", "b")))
            assert answer.status_code in (200, 409), answer.text

    async def report(self) -> None:
        if not self.leased:
            return
        call = self.any_call()
        kind = self.random.choice(
            ("agent_ready", "ringing", "answered", "answered", "turn", "ended", "tool_call")
        )
        number = call.number + self.random.choice((1, 1, 1, 1, 0, 2))
        report: dict[str, Any] = {"number": number, "type": kind, "age_ms": self.age_ms()}
        if kind == "turn":
            report["turn"] = turn(self.random.randrange(3), text=self.random.choice(("a", "b")))
        if kind == "ended":
            code = self.random.choice([*HangupCode, "nonsense"])
            report["ended"] = {"code": code, "has_recording": self.random.random() < 0.5}
        answer = await call.send([report])
        assert answer.status_code in (200, 409), answer.text
        if answer.status_code == 200:
            call.number = answer.json()["applied_through"]

    async def end_by_user(self) -> None:
        if self.placed:
            path = f"/workspaces/current/conversations/{self.random.choice(self.placed)}/end"
            say = self.random.choice((None, "Goodbye."))
            assert (await self.desk.client.post(path, json={"say": say})).status_code == 202

    async def heartbeat(self) -> None:
        if self.leased:
            await beat(self.world, self.any_call())

    async def recording(self) -> None:
        if self.leased:
            assert (await self.any_call().put_recording()).status_code in (200, 409)

    async def time(self) -> None:
        await self.move_time(self.random.choice((0.5, 2, 8, 16)))
        await run_deadlines(self.world)
        await recordings.fail_overdue(self.world)

    def any_call(self) -> Leased:
        return self.random.choice(self.leased[-6:])

    def age_ms(self) -> int:
        return self.random.choice((0, 0, 3, 400, 60_000))

    async def check_terminal_stays(self) -> None:
        rows = await self.world.db.fetch(
            """select id, status, ended_at, hangup_code, duration_seconds, cost_micros, answered_at
               from conversations where ended_at is not null"""
        )
        for row in rows:
            assert row["status"] in TERMINAL
            assert self.over.setdefault(row["id"], dict(row)) == dict(row)
        assert len(self.over) == len(rows), "an ended conversation is alive again"


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_happens_every_call_ends_once_and_stays_ended(
    world: World, desk: Desk, worker: ScriptedWorker, move_time: MoveTime, seed: int
) -> None:
    walk = Walk(seed, world, desk, worker, move_time)
    for _ in range(STEPS):
        await walk.step()
        await walk.check_terminal_stays()
    for _ in range(6):
        await move_time(700)
        await run_deadlines(world)
    await move_time(1000)
    await recordings.fail_overdue(world)
    await walk.check_terminal_stays()
    assert set(walk.over) == set(walk.placed), "every call that was accepted has ended"
    assert not await world.db.fetchval(
        "select count(*) from conversations where recording_status = 'pending'"
    )
    assert not await world.db.fetchval("select count(*) from ledger_holds where resolution is null")
