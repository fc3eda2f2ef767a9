"""The slice's tables. The DDL, with every constraint, is migrations/sql/0001_first_call.sql and 0005_versions.sql."""

from __future__ import annotations

from piccolo.columns import JSONB, Array, Boolean, Bytea, Integer, Text, Timestamptz
from piccolo.table import Table

from bolti_server.base.db import ENGINE


class AgentRow(Table, tablename="agents", db=ENGINE):
    """The name of each agent and which of its versions is the current one."""

    id = Text(primary_key=True, default=None)
    workspace_id = Text()
    name = Text()
    is_active = Boolean()
    version = Integer()
    created_at = Timestamptz()
    updated_at = Timestamptz()
    deleted_at = Timestamptz(null=True)


class AgentVersionRow(Table, tablename="agent_versions", db=ENGINE):
    """A frozen configuration; the key is (agent_id, version)."""

    agent_id = Text(primary_key=True, default=None)
    version = Integer()
    workspace_id = Text()
    configuration = JSONB()
    required_variables = Array(base_column=Text())
    created_at = Timestamptz()
    restored_from = Integer(null=True)


class ToolRow(Table, tablename="tools", db=ENGINE):
    """A workspace HTTP tool; its authorization is encrypted in `secret_encrypted`."""

    id = Text(primary_key=True, default=None)
    workspace_id = Text()
    name = Text()
    configuration = JSONB()
    secret_encrypted = Bytea(null=True)
    version = Integer()
    created_at = Timestamptz()
    updated_at = Timestamptz()
    deleted_at = Timestamptz(null=True)
