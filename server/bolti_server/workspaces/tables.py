"""The slice's tables. The DDL, with every constraint, is migrations/sql/0001_first_call.sql (and 0008)."""

from __future__ import annotations

from piccolo.columns import Array, Bytea, Integer, Text, Timestamptz
from piccolo.table import Table

from bolti_server.base.db import ENGINE


class OrganizationRow(Table, tablename="organizations", db=ENGINE):
    """The account: balance, rate card, country."""

    id = Text(primary_key=True, default=None)
    name = Text()
    country = Text()
    created_at = Timestamptz()


class WorkspaceRow(Table, tablename="workspaces", db=ENGINE):
    """An isolated project inside an organization."""

    id = Text(primary_key=True, default=None)
    organization_id = Text()
    name = Text()
    max_concurrent_calls = Integer()
    created_at = Timestamptz()


class ApiKeyRow(Table, tablename="api_keys", db=ENGINE):
    """A credential of a program; `token_hash` is all that is kept of the token."""

    id = Text(primary_key=True, default=None)
    workspace_id = Text()
    name = Text()
    kind = Text()
    origins = Array(base_column=Text())
    token_hash = Bytea()
    token_hint = Text()
    scopes = Array(base_column=Text())
    created_at = Timestamptz()
    expires_at = Timestamptz(null=True)
    revoked_at = Timestamptz(null=True)
    last_used_at = Timestamptz(null=True)
