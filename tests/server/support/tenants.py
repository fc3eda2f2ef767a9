"""What the tenant matrix needs: requests of every operation, and a look at everything that the database holds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import attrs
import httpx2
from tests.server.support.calls_public import make_desk

from bolti_server.base.ids import new_id
from bolti_server.bootstrap.web import background_jobs
from bolti_server.web.contract import Operation, load_contract
from bolti_server.world import World

PREFIXES = {
    "api_key_id": "key",
    "agent_id": "agent",
    "tool_id": "tool",
    "number_id": "num",
    "trunk_id": "trunk",
    "agent_phone_number_id": "apn",
    "conversation_id": "conv",
    "do_not_call_entry_id": "dnc",
    "webhook_endpoint_id": "whep",
    "webhook_delivery_id": "whdel",
}
# Path parameters that number something within its owner: no id of their own, and nobody else's.
NUMBERED = {"version": "1"}


@attrs.frozen
class Asked:
    """One operation with its path filled in and the contract's example as body."""

    operation: Operation
    path: str
    body: Any

    async def send(self, client: httpx2.AsyncClient) -> httpx2.Response:
        return await client.request(self.operation.method, self.path, json=self.body)


def guarded_operations() -> list[Operation]:
    return [each for each in load_contract().operations.values() if not each.is_public]


def asked(operation: Operation, workspace_id: str, ids: Mapping[str, str]) -> Asked:
    """Ids that `ids` does not name are made up: well-formed, of nothing."""
    path = operation.path.replace("{workspace_id}", workspace_id)
    for name in operation.path_patterns:
        if name != "workspace_id":
            made_up = NUMBERED.get(name) or new_id(PREFIXES[name])
            path = path.replace("{" + name + "}", ids.get(name) or made_up)
    return Asked(operation, path, _example(operation))


def _example(operation: Operation) -> Any:
    document = load_contract().document
    entry = document["paths"][operation.path][operation.method.lower()]
    if "requestBody" not in entry:
        return None
    media = entry["requestBody"]["content"]["application/json"]
    name = media["examples"]["example"]["$ref"].rpartition("/")[2]
    return document["components"]["examples"][name]["value"]


async def furnish(world: World, client: httpx2.AsyncClient, workspace_id: str) -> dict[str, str]:
    """One of everything in the workspace of `client`: the ids by the names of path parameters."""
    desk = await make_desk(world, client, workspace_id)
    conversation_id = await desk.placed()

    async def made(path: str, **body: object) -> str:
        answer = await client.post(f"/workspaces/current/{path}", json=body)
        assert answer.status_code == 201, answer.text
        found: str = answer.json()["id"]
        return found

    endpoint_id = await made(
        "webhook-endpoints", url="https://hooks.example.com/x", event_types=["test.ping"]
    )
    tested = await client.post(f"/workspaces/current/webhook-endpoints/{endpoint_id}/test")
    assert tested.status_code == 202, tested.text
    for job in background_jobs(world):
        if job.name == "fan out events":
            await job.run_batch()
    deliveries = await client.get(f"/workspaces/current/webhook-endpoints/{endpoint_id}/deliveries")
    numbers = await client.get("/workspaces/current/numbers")
    return {
        "api_key_id": await made("api-keys", name="theirs", scopes=["agents:read"]),
        "agent_id": desk.agent_id,
        "tool_id": await made("tools", **_tool()),
        "number_id": numbers.json()["data"][0]["id"],
        "trunk_id": await made("trunks", name="Clinic", outbound={"host": "sip.example.com"}),
        "agent_phone_number_id": desk.agent_phone_number_id,
        "conversation_id": conversation_id,
        "do_not_call_entry_id": await made("do-not-call", phone_number="+12025550117"),
        "webhook_endpoint_id": endpoint_id,
        "webhook_delivery_id": deliveries.json()["data"][0]["id"],
    }


def _tool() -> dict[str, Any]:
    example: dict[str, Any] = load_contract().document["components"]["examples"]["ToolCreate"][
        "value"
    ]
    return example


async def everything(world: World) -> dict[str, str]:
    """Table → digest of all its rows (but for when a key was last used)."""
    tables = await world.db.fetch(
        "select tablename from pg_tables where schemaname = 'public' order by tablename"
    )
    found = {}
    for row in tables:
        name = row["tablename"]
        rows = await world.db.fetch(
            f"""select (to_jsonb(t) - 'last_used_at')::text as row from "{name}" t order by 1"""
        )
        found[name] = hashlib.sha256("\n".join(each["row"] for each in rows).encode()).hexdigest()
    return found


def without_names(answer: httpx2.Response) -> dict[str, Any]:
    """The problem, but for what names this one request."""
    return {k: v for k, v in answer.json().items() if k not in ("instance", "request_id")}
