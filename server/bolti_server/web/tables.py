"""The tables of `web`. The DDL is migrations/sql/0001_first_call.sql."""

from __future__ import annotations

from piccolo.columns import JSONB, Bytea, Integer, Text, Timestamptz
from piccolo.table import Table

from bolti_server.base.db import ENGINE


class IdempotencyRecordRow(Table, tablename="idempotency_records", db=ENGINE):
    """A request with an Idempotency-Key and the answer that it got; `status` is null while it runs."""

    workspace_id = Text(primary_key=True, default=None)
    operation_id = Text()
    idempotency_key = Text()
    fingerprint = Bytea()
    status = Integer(null=True)
    body = Bytea(null=True)
    headers = JSONB()
    created_at = Timestamptz()
    expires_at = Timestamptz()
