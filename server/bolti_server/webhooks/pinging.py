"""Testing an endpoint: a `test.ping` that is logged, signed, sent and retried like any other event, to this one alone."""

from __future__ import annotations

from bolti_server.base.db import Tx
from bolti_server.base.errors import not_found
from bolti_server.base.events import Event, emit
from bolti_server.base.ids import new_id
from bolti_server.contract import structs
from bolti_server.webhooks import queries
from bolti_server.webhooks.queries import StoredDelivery
from bolti_server.webhooks.records import delivery_record


async def ping_endpoint(tx: Tx, workspace_id: str, endpoint_id: str) -> structs.WebhookDelivery:
    """The delivery, due at once; also to a disabled endpoint, so that it can be tried before it is enabled.

    Raises Refusal 404.
    """
    if await queries.find_endpoint(tx, workspace_id, endpoint_id) is None:
        raise not_found("webhook endpoint")
    data = structs.TestPingEventData(object=structs.TestPingObject(webhook_endpoint_id=endpoint_id))
    ping = Event(workspace_id, "test.ping", endpoint_id, data)
    now = await queries.now_of_any_workspace(tx)
    delivery = StoredDelivery(
        id=new_id("whdel"),
        webhook_endpoint_id=endpoint_id,
        event_id=ping.id,
        event_type=ping.type,
        status="pending",
        attempts="[]",
        next_at=now,
        created_at=now,
        delivered_at=None,
    )
    emit(tx, ping)

    async def add(tx: Tx) -> None:
        """After the log has given the event its number, which it does as the transaction's last step."""
        await queries.insert_ping(tx, workspace_id, delivery)

    tx.before_commit(add)
    tx.wake("deliveries")
    return delivery_record(delivery)
