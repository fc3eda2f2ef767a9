"""A scripted worker: says over the internal API what a real one says, in any order that a test wants."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any

import attrs
import httpx2
from tests.server.conftest import WORKER_TOKEN

from bolti_server.base.db import decode_json
from bolti_server.calls import claiming, deadlines
from bolti_server.calls.commands import poll_commands
from bolti_server.calls.lifecycle import Status
from bolti_server.worker_api.messages import ClaimRequest, CommandsAnswer
from bolti_server.world import World

PROTOCOL = {"Bolti-Worker-Protocol": "1"}
OGG = b"OggS" + bytes(range(256)) * 4
_names = itertools.count(1)


@attrs.define
class Leased:
    """A claimed call. `number` is the last report that was sent."""

    http: httpx2.AsyncClient
    conversation_id: str
    epoch: int
    token: str
    number: int = 0

    @property
    def path(self) -> str:
        return f"/internal/conversations/{self.conversation_id}"

    @property
    def headers(self) -> dict[str, str]:
        return {**PROTOCOL, "Authorization": f"Bearer {self.token}"}

    async def spec(self) -> httpx2.Response:
        return await self.http.get(f"{self.path}/spec", headers=self.headers)

    async def intent(self, nonce: str = "nonce") -> httpx2.Response:
        return await self._post("dial-intent", {"epoch": self.epoch, "nonce": nonce})

    async def transfer_intent(self, tool_call_id: str) -> httpx2.Response:
        return await self._post(
            "transfer-intent", {"epoch": self.epoch, "tool_call_id": tool_call_id}
        )

    async def send(self, reports: Sequence[dict[str, Any]]) -> httpx2.Response:
        """Reports as they are, numbered by the test."""
        return await self._post("reports", {"epoch": self.epoch, "reports": list(reports)})

    async def report(self, kind: str, *, age_ms: int = 0, **member: Any) -> dict[str, Any]:
        """The next report; it has to be taken."""
        self.number += 1
        report = {"number": self.number, "type": kind, "age_ms": age_ms, **member}
        answer = await self.send([report])
        assert answer.status_code == 200, answer.text
        assert answer.json() == {"applied_through": self.number, "wanted": None}
        return report

    async def turn(self, index: int, role: str = "agent", text: str = "Hello.") -> None:
        await self.report("turn", turn=turn(index, role, text))

    async def ended(self, code: str, *, age_ms: int = 0, **member: Any) -> None:
        await self.report("ended", age_ms=age_ms, ended={"code": code, **member})

    async def tool(self, tool_call_id: str, name: str, **arguments: Any) -> httpx2.Response:
        message = {"epoch": self.epoch, "tool_call_id": tool_call_id, "name": name}
        return await self._post("tools", {**message, "arguments": arguments})

    async def commands(self, after: int = 0) -> dict[str, Any]:
        """One heartbeat; answered at once only where there is something to say."""
        answer = await self.http.get(
            f"{self.path}/commands",
            params={"epoch": self.epoch, "after": after},
            headers=self.headers,
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def put_recording(
        self, content: bytes = OGG, *, age_ms: int | None = None
    ) -> httpx2.Response:
        params = {"epoch": self.epoch} | ({} if age_ms is None else {"age_ms": age_ms})
        return await self.http.put(
            f"{self.path}/recording",
            params=params,
            content=content,
            headers=self.headers,
        )

    async def reach(self, status: str) -> None:
        """Plays a call from its claim to `status` (queued: ready; dialing, ringing or in_progress)."""
        await self.report("agent_ready")
        if status == Status.QUEUED:
            return
        answer = await self.intent()
        assert answer.json()["answer"] == "send", answer.text
        if status == Status.DIALING:
            return
        await self.report("ringing")
        if status == Status.RINGING:
            return
        await self.report("answered")

    async def _post(self, what: str, message: dict[str, Any]) -> httpx2.Response:
        return await self.http.post(f"{self.path}/{what}", json=message, headers=self.headers)


@attrs.define
class ScriptedWorker:
    http: httpx2.AsyncClient
    worker_id: str = attrs.Factory(lambda: f"worker_{next(_names)}")

    async def ask(self, *, capacity: int = 1, token: str = WORKER_TOKEN) -> httpx2.Response:
        return await self.http.post(
            "/internal/claim",
            json={"worker_id": self.worker_id, "name": "scripted", "capacity": capacity},
            headers={**PROTOCOL, "Authorization": f"Bearer {token}"},
        )

    async def claim(self) -> Leased:
        """The call that is free; there has to be one, or this waits for it."""
        found = await self.claim_all(capacity=1)
        assert len(found) == 1, "nothing could be claimed"
        return found[0]

    async def claim_all(self, *, capacity: int) -> list[Leased]:
        answer = await self.ask(capacity=capacity)
        assert answer.status_code == 200, answer.text
        return [
            Leased(self.http, claimed["conversation_id"], claimed["epoch"], claimed["token"])
            for claimed in answer.json()["claimed"]
        ]


def turn(index: int, role: str = "agent", text: str = "Hello.", **more: Any) -> dict[str, Any]:
    start_ms = 1000 * index
    turn = {"turn_index": index, "role": role, "text": text, "start_ms": start_ms}
    return {**turn, "end_ms": start_ms + 800, **more}


async def run_deadlines(world: World) -> int:
    """One look of every job that ends calls; how many it ended or gave back."""
    lost = await deadlines.end_lost(world)
    return lost + await deadlines.end_overdue(world)


async def row_of(world: World, conversation_id: str) -> dict[str, Any]:
    """The conversation's row as it is."""
    row = await world.db.fetchrow("select * from conversations where id = $1", conversation_id)
    assert row is not None
    return dict(row)


async def events_of(world: World, conversation_id: str) -> list[str]:
    """Types of what the log tells of it, in order."""
    rows = await world.db.fetch(
        "select type from events where subject_id = $1 order by sequence", conversation_id
    )
    return [row["type"] for row in rows]


async def event_data(world: World, conversation_id: str, event_type: str) -> dict[str, Any]:
    """`data.object` of the one event of that type."""
    rows = await world.db.fetch(
        "select data::text as data from events where subject_id = $1 and type = $2",
        conversation_id,
        event_type,
    )
    assert len(rows) == 1, f"{len(rows)} events of type {event_type}"
    found: dict[str, Any] = decode_json(rows[0]["data"])["object"]
    return found


async def hold_of(world: World, conversation_id: str) -> str | None:
    """How the call's hold was resolved: settled, released, None while it is open."""
    found: str | None = await world.db.fetchval(
        "select resolution from ledger_holds where reference = $1", conversation_id
    )
    return found


async def verdicts_of(world: World, conversation_id: str) -> list[tuple[str, str]]:
    """(type, verdict) of every report that was recorded, in order."""
    rows = await world.db.fetch(
        "select type, verdict from line_events where conversation_id = $1 order by id",
        conversation_id,
    )
    return [(row["type"], row["verdict"]) for row in rows]


async def is_claimable(world: World) -> bool:
    """Whether a worker that asks now gets a call. It gets it, and is never heard of again."""
    request = ClaimRequest(worker_id=f"worker_{next(_names)}", name="asks once", capacity=1)
    answer = await claiming.claim(world, request, gone=asyncio.Event(), wait_seconds=0)
    return bool(answer.claimed)


async def beat(world: World, call: Leased, *, after: int = 0) -> CommandsAnswer:
    """A heartbeat that does not wait for a command."""
    return await poll_commands(
        world, call.conversation_id, call.epoch, after=after, gone=asyncio.Event(), wait_seconds=0
    )
