"""What tests of webhooks do over and over: subscribe, log events, let the background work run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx2
from tests.server.conftest import Home

from bolti_server.base.events import Event, emit
from bolti_server.base.ids import new_id
from bolti_server.webhooks.delivering import deliver_due
from bolti_server.webhooks.fanning_out import fan_out
from bolti_server.world import World

ENDPOINTS = "/workspaces/current/webhook-endpoints"


async def subscribe(
    client: httpx2.AsyncClient,
    url: str,
    event_types: Sequence[str] = ("conversation.ended",),
    **fields: Any,
) -> dict[str, Any]:
    """The endpoint as it was made, with its secret."""
    body = {"url": url, "event_types": list(event_types), **fields}
    answer = await client.post(ENDPOINTS, json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def log(
    world: World,
    home: Home,
    event_type: str = "conversation.ended",
    subject_id: str | None = None,
    data: Mapping[str, Any] | None = None,
) -> str:
    """Commits one event; its id."""
    subject_id = subject_id or new_id("conv")
    content = {"object": {"id": subject_id, **(data or {})}}
    event = Event(home.workspace_id, event_type, subject_id, content, simulated=True)
    async with world.db.transaction() as tx:
        emit(tx, event)
    return event.id


async def work(world: World) -> None:
    """What the background jobs do until nothing is due."""
    while await fan_out(world) + await deliver_due(world):
        pass


async def deliveries(
    client: httpx2.AsyncClient, endpoint_id: str, **query: str
) -> list[dict[str, Any]]:
    """Newest first."""
    answer = await client.get(f"{ENDPOINTS}/{endpoint_id}/deliveries", params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


async def endpoint(client: httpx2.AsyncClient, endpoint_id: str) -> dict[str, Any]:
    answer = await client.get(f"{ENDPOINTS}/{endpoint_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def seconds_until_due(world: World) -> float:
    """Until the next delivery's time comes."""
    seconds: float | None = await world.db.fetchval(
        """select extract(epoch from min(next_at) - bolti_now())::double precision
           from webhook_deliveries where next_at is not null"""
    )
    assert seconds is not None, "nothing waits"
    return seconds
