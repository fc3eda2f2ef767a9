"""Sending a delivery again: the same event, the same `webhook-id`, the waits from their start."""

from __future__ import annotations

from bolti_server.base.db import Tx
from bolti_server.base.errors import Refusal, combine, not_found
from bolti_server.contract import structs
from bolti_server.webhooks import queries
from bolti_server.webhooks.records import delivery_record


async def replay_delivery(
    tx: Tx, workspace_id: str, endpoint_id: str, delivery_id: str
) -> structs.WebhookDelivery:
    """The delivery, pending again. One that is being sent at this moment is not sent twice. Raises Refusal 404."""
    missing: list[Refusal] = []
    if await queries.find_endpoint(tx, workspace_id, endpoint_id) is None:
        missing.append(not_found("webhook endpoint"))
    stored = await queries.restart_delivery(tx, workspace_id, endpoint_id, delivery_id)
    if stored is None:
        missing.append(not_found("webhook delivery"))
    if stored is None or missing:
        raise combine(missing)
    tx.wake("deliveries")
    return delivery_record(stored)
