"""Sending nothing more to an endpoint.

Rule: what still waits for it is dropped (dead, not deleted: a replay sends it), nothing new is made for it, and the
workspace's other endpoints hear of it by `webhook_endpoint.disabled`. Enabling it again starts at that moment.
"""

from __future__ import annotations

import attrs

from bolti_server.base.db import Tx
from bolti_server.base.events import Event, emit
from bolti_server.contract import structs
from bolti_server.webhooks import queries
from bolti_server.webhooks.queries import StoredEndpoint
from bolti_server.webhooks.records import endpoint_record


async def disable(tx: Tx, workspace_id: str, endpoint_id: str, reason: str) -> None:
    """Disables the endpoint, telling why. Nothing where it is disabled or deleted already."""
    endpoint = await queries.lock_endpoint(tx, workspace_id, endpoint_id)
    if endpoint is not None and endpoint.status == "enabled":
        await save_disabled(tx, workspace_id, endpoint, reason)


async def save_disabled(
    tx: Tx, workspace_id: str, endpoint: StoredEndpoint, reason: str
) -> StoredEndpoint:
    """The same for an endpoint that the caller has locked, and changed perhaps: all of it is saved."""
    disabled = attrs.evolve(endpoint, status="disabled", disabled_reason=reason)
    await queries.save_endpoint(tx, workspace_id, disabled)
    await queries.drop_pending_deliveries(tx, workspace_id, endpoint.id)
    data = structs.WebhookEndpointEventData(object=endpoint_record(disabled))
    emit(tx, Event(workspace_id, "webhook_endpoint.disabled", endpoint.id, data))
    return disabled
