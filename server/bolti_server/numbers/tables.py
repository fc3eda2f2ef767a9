"""The slice's tables. The DDL, with every constraint, is migrations/sql: 0001, 0005 and 0008."""

from __future__ import annotations

from piccolo.columns import Array, BigInt, Boolean, Bytea, Integer, Text, Timestamptz
from piccolo.table import Table

from bolti_server.base.db import ENGINE


class TrunkRow(Table, tablename="trunks", db=ENGINE):
    """What carries numbers; a simulated trunk reaches simulated numbers only. What the media server has of it, and
    when it has to be told, is written by syncing.py."""

    id = Text(primary_key=True, default=None)
    workspace_id = Text()
    name = Text()
    kind = Text()
    can_inbound = Boolean()
    can_outbound = Boolean()
    created_at = Timestamptz()
    host = Text(null=True)
    transport = Text(null=True)
    outbound_username = Text(null=True)
    outbound_password_sealed = Bytea(null=True)
    inbound_username = Text(null=True)
    inbound_password_sealed = Bytea(null=True)
    allowed_addresses = Array(base_column=Text())
    codecs = Array(base_column=Text())
    deleted_at = Timestamptz(null=True)
    media_trunk_id = Text(null=True)
    media_rule_id = Text(null=True)
    sync_due_at = Timestamptz(null=True)
    sync_attempts = Integer()
    sync_detail = Text(null=True)
    inbound_status = Text()
    version = Integer()
    answer_changes = Integer()
    updated_at = Timestamptz()


class NumberRow(Table, tablename="numbers", db=ENGINE):
    """A phone number that a workspace controls."""

    id = Text(primary_key=True, default=None)
    workspace_id = Text()
    trunk_id = Text()
    phone_number = Text()
    country = Text()
    monthly_cost_micros = BigInt(null=True)
    currency = Text(null=True)
    created_at = Timestamptz()
    released_at = Timestamptz(null=True)


class AgentPhoneNumberRow(Table, tablename="agent_phone_numbers", db=ENGINE):
    """A number bound to an agent; a row with `unassigned_at` is history."""

    id = Text(primary_key=True, default=None)
    workspace_id = Text()
    agent_id = Text()
    number_id = Text()
    direction = Text()
    created_at = Timestamptz()
    unassigned_at = Timestamptz(null=True)
