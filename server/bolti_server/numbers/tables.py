"""The slice's tables. The DDL, with every constraint, is migrations/sql/0001_first_call.sql and 0005_versions.sql."""

from __future__ import annotations

from piccolo.columns import BigInt, Boolean, Text, Timestamptz
from piccolo.table import Table

from bolti_server.base.db import ENGINE


class TrunkRow(Table, tablename="trunks", db=ENGINE):
    """What carries numbers; a simulated trunk reaches simulated numbers only."""

    id = Text(primary_key=True, default=None)
    workspace_id = Text()
    name = Text()
    kind = Text()
    can_inbound = Boolean()
    can_outbound = Boolean()
    created_at = Timestamptz()


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
