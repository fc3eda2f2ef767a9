"""The slice's tables. The DDL, with every constraint, is migrations/sql/0001_first_call.sql."""

from __future__ import annotations

from piccolo.columns import JSONB, BigInt, Boolean, Bytea, Integer, Text, Timestamptz
from piccolo.table import Table

from bolti_server.base.db import ENGINE


class WebhookEndpointRow(Table, tablename="webhook_endpoints", db=ENGINE):
    """Where a workspace's events are sent. `subscriptions`: event type → position of the log after which it counts."""

    id = Text(primary_key=True, default=None)
    workspace_id = Text()
    url = Text()
    description = Text()
    status = Text()
    disabled_reason = Text(null=True)
    secret_encrypted = Bytea()
    has_legacy_headers = Boolean()
    subscriptions = JSONB()
    failing_since = Timestamptz(null=True)
    created_at = Timestamptz()
    deleted_at = Timestamptz(null=True)


class WebhookDeliveryRow(Table, tablename="webhook_deliveries", db=ENGINE):
    """One event on its way to one endpoint, with every try."""

    id = Text(primary_key=True, default=None)
    workspace_id = Text()
    webhook_endpoint_id = Text()
    event_id = Text()
    event_type = Text()
    subject_id = Text()
    sequence = BigInt()
    status = Text()
    attempts = JSONB()
    attempt_count = Integer()
    replay_base = Integer()
    next_at = Timestamptz(null=True)
    created_at = Timestamptz()
    delivered_at = Timestamptz(null=True)
