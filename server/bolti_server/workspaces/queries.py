"""Questions about workspaces and keys, one function each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import attrs

from bolti_server.base.db import Database, Tx

KeyKind = Literal["secret", "public"]


@attrs.frozen
class StoredWorkspace:
    id: str
    organization_id: str
    name: str
    max_concurrent_calls: int
    created_at: datetime


@attrs.frozen
class StoredKey:
    """An API key without its secret."""

    id: str
    name: str
    kind: KeyKind
    origins: Sequence[str]
    token_hint: str
    scopes: Sequence[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


@attrs.frozen
class WorkingKey:
    """A key that is neither revoked nor expired. `seconds_left` None: it does not expire."""

    id: str
    workspace_id: str
    organization_id: str
    kind: KeyKind
    origins: Sequence[str]
    scopes: Sequence[str]
    seconds_left: float | None
    is_use_to_be_noted: bool


_WORKSPACE = """
    select id, organization_id, name, max_concurrent_calls, created_at from workspaces
    where id = $1"""

_KEYS = """
    select id, name, kind, origins, token_hint, scopes, created_at, expires_at, revoked_at, last_used_at
    from api_keys where workspace_id = $1"""


async def insert_organization_of_any_workspace(
    tx: Tx, organization_id: str, *, name: str, country: str
) -> None:
    """Organizations stand above workspaces."""
    await tx.execute(
        "insert into organizations (id, name, country) values ($1, $2, $3)",
        organization_id,
        name,
        country,
    )


async def insert_workspace(tx: Tx, workspace_id: str, *, organization_id: str, name: str) -> None:
    await tx.execute(
        "insert into workspaces (id, organization_id, name) values ($1, $2, $3)",
        workspace_id,
        organization_id,
        name,
    )


async def find_workspace(tx: Tx, workspace_id: str) -> StoredWorkspace | None:
    row = await tx.fetchrow(_WORKSPACE, workspace_id)
    return None if row is None else StoredWorkspace(**dict(row))


async def change_workspace(
    tx: Tx, workspace_id: str, *, name: str | None, max_concurrent_calls: int | None
) -> StoredWorkspace | None:
    """None for a value leaves it as it is."""
    row = await tx.fetchrow(
        """update workspaces set name = coalesce($2, name),
               max_concurrent_calls = coalesce($3, max_concurrent_calls)
           where id = $1 returning id, organization_id, name, max_concurrent_calls, created_at""",
        workspace_id,
        name,
        max_concurrent_calls,
    )
    return None if row is None else StoredWorkspace(**dict(row))


async def insert_key(
    tx: Tx,
    workspace_id: str,
    key_id: str,
    *,
    name: str,
    kind: KeyKind,
    origins: Sequence[str],
    token_hash: bytes,
    token_hint: str,
    scopes: Sequence[str],
    expires_at: datetime | None,
) -> StoredKey | None:
    """None where `expires_at` is not in the future."""
    row = await tx.fetchrow(
        """insert into api_keys
                (id, workspace_id, name, token_hash, token_hint, scopes, expires_at, kind, origins)
            select $2, $1, $3, $4, $5, $6, $7::timestamptz, $8, $9
            where $7::timestamptz is null or $7::timestamptz > bolti_now()
            returning id, name, kind, origins, token_hint, scopes, created_at, expires_at, revoked_at,
                last_used_at""",
        workspace_id,
        key_id,
        name,
        token_hash,
        token_hint,
        list(scopes),
        expires_at,
        kind,
        list(origins),
    )
    return None if row is None else StoredKey(**dict(row))


async def list_keys(
    tx: Tx, workspace_id: str, *, limit: int, before_id: str | None
) -> list[StoredKey]:
    """Newest first, revoked ones too; `before_id` is the last id of the page before."""
    rows = await tx.fetch(
        f"{_KEYS} and ($2::text is null or id < $2) order by id desc limit $3",
        workspace_id,
        before_id,
        limit,
    )
    return [StoredKey(**dict(row)) for row in rows]


async def revoke_key(tx: Tx, workspace_id: str, key_id: str) -> bool:
    """Whether there is such a key. One that is revoked keeps the instant of its first revocation."""
    done = await tx.fetchval(
        """update api_keys set revoked_at = coalesce(revoked_at, bolti_now())
           where workspace_id = $1 and id = $2 returning id""",
        workspace_id,
        key_id,
    )
    return done is not None


async def find_working_key_of_any_workspace(db: Database, token_hash: bytes) -> WorkingKey | None:
    row = await db.fetchrow(
        """select k.id, k.workspace_id, w.organization_id, k.kind, k.origins, k.scopes,
                  extract(epoch from k.expires_at - now.instant)::float8 as seconds_left,
                  coalesce(k.last_used_at < now.instant - interval '1 minute', true)
                      as is_use_to_be_noted
           from api_keys k join workspaces w on w.id = k.workspace_id,
                (select bolti_now() as instant offset 0) as now
           where k.token_hash = $1 and k.revoked_at is null
             and (k.expires_at is null or k.expires_at > now.instant)""",
        token_hash,
    )
    return None if row is None else WorkingKey(**dict(row))


async def is_origin_of_any_workspace(db: Database, origin: str) -> bool:
    """Whether a public key that works names this origin."""
    found: bool = await db.fetchval(
        """select exists (
               select from api_keys where kind = 'public' and revoked_at is null and origins @> array[$1]
                 and (expires_at is null or expires_at > bolti_now()))""",
        origin,
    )
    return found


async def note_key_use(tx: Tx, workspace_id: str, key_id: str) -> None:
    """At most once a minute: a key in use must not be a row that every request writes."""
    await tx.execute(
        """update api_keys set last_used_at = bolti_now() where workspace_id = $1 and id = $2
           and coalesce(last_used_at < bolti_now() - interval '1 minute', true)""",
        workspace_id,
        key_id,
    )
