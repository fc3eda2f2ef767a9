"""Rows as the contract shows them."""

from __future__ import annotations

import msgspec

from bolti_server.base.clock import rfc3339
from bolti_server.contract import structs
from bolti_server.webhooks.queries import StoredDelivery, StoredEndpoint


def endpoint_record(stored: StoredEndpoint) -> structs.WebhookEndpoint:
    """Without its secret."""
    return structs.WebhookEndpoint(
        id=stored.id,
        url=stored.url,
        description=stored.description,
        event_types=sorted(stored.subscriptions),
        status=stored.status,
        disabled_reason=stored.disabled_reason,
        has_legacy_headers=stored.has_legacy_headers,
        created_at=rfc3339(stored.created_at),
    )


def delivery_record(stored: StoredDelivery) -> structs.WebhookDelivery:
    """With every try that has ended."""
    return structs.WebhookDelivery(
        id=stored.id,
        webhook_endpoint_id=stored.webhook_endpoint_id,
        event_id=stored.event_id,
        event_type=stored.event_type,
        status=stored.status,
        attempts=msgspec.json.decode(stored.attempts, type=list[structs.DeliveryAttempt]),
        next_at=None if stored.next_at is None else rfc3339(stored.next_at),
        created_at=rfc3339(stored.created_at),
        delivered_at=None if stored.delivered_at is None else rfc3339(stored.delivered_at),
    )
