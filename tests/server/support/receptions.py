"""What tests of calls that come in need: a number that an agent answers, and a worker that hears it ring."""

from __future__ import annotations

import itertools
from typing import Any

import attrs
import httpx2
from tests.server.conftest import WORKER_TOKEN
from tests.server.support.worker_side import PROTOCOL, Leased

NUMBER = "+918041234567"
CALLER = "+919876543210"
MINUTE_MICROS = 6_000_000
CONVERSATIONS = "/workspaces/current/conversations"
_legs = itertools.count(1)


@attrs.frozen
class Reception:
    """A trunk with a number that an agent answers, and a worker that hears it ring."""

    workspace_id: str
    client: httpx2.AsyncClient
    http: httpx2.AsyncClient
    trunk_id: str
    number_id: str
    agent_id: str

    async def rings(self, leg: str | None = None, **changes: Any) -> dict[str, Any]:
        """What the server answers to a worker that says so."""
        answer = await self.ask(leg, **changes)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def ask(
        self, leg: str | None = None, *, token: str = WORKER_TOKEN, **changes: Any
    ) -> httpx2.Response:
        leg = leg or f"SCL_{next(_legs)}"
        message = {
            "worker_id": "worker_a",
            "room": f"in-_{leg}",
            "sip_call_id": leg,
            "trunk_id": self.trunk_id,
            "from_number": CALLER,
            "to_number": NUMBER,
            **changes,
        }
        headers = {**PROTOCOL, "Authorization": f"Bearer {token}"}
        return await self.http.post("/internal/inbound", json=message, headers=headers)

    async def leased(self, **changes: Any) -> Leased:
        claimed = (await self.rings(**changes))["claimed"]
        return Leased(self.http, claimed["conversation_id"], claimed["epoch"], claimed["token"])

    async def record(self, conversation_id: str) -> dict[str, Any]:
        answer = await self.client.get(f"{CONVERSATIONS}/{conversation_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def only_record(self) -> dict[str, Any]:
        (found,) = (await self.client.get(CONVERSATIONS)).json()["data"]
        record: dict[str, Any] = found
        return record

    async def events(self) -> list[str]:
        found = (await self.client.get("/workspaces/current/events")).json()["data"]
        return [each["type"] for each in found if each["type"].startswith("conversation.")]

    async def give_to(self, agent_id: str, direction: str = "inbound") -> str:
        answer = await self.client.post(
            f"/workspaces/current/agents/{agent_id}/phone-numbers",
            json={"number_id": self.number_id, "direction": direction},
        )
        assert answer.status_code == 201, answer.text
        found: str = answer.json()["id"]
        return found


async def make_agent(client: httpx2.AsyncClient, **body: Any) -> str:
    answer = await client.post("/workspaces/current/agents", json={"name": "Reception", **body})
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["id"]
    return found


async def make_reception(
    client: httpx2.AsyncClient, http: httpx2.AsyncClient, workspace_id: str, **agent: Any
) -> Reception:
    trunk = await client.post(
        "/workspaces/current/trunks",
        json={"name": "Clinic", "inbound": {"allowed_addresses": ["54.172.60.0/30"]}},
    )
    assert trunk.status_code == 201, trunk.text
    trunk_id = trunk.json()["id"]
    number = await client.post(
        f"/workspaces/current/trunks/{trunk_id}/numbers", json={"phone_number": NUMBER}
    )
    assert number.status_code == 201, number.text
    agent_id = await make_agent(client, **agent)
    made = Reception(workspace_id, client, http, trunk_id, number.json()["id"], agent_id)
    await made.give_to(agent_id)
    return made
