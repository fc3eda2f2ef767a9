"""Organizations with their first workspace, and API keys.

Rule: a token leaves this module once, to whoever asked for it; the database gets its keyed hash and a hint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import attrs

from bolti_server.base.crypto import Vault, make_token, token_hint
from bolti_server.base.db import Tx
from bolti_server.base.errors import Fault, Refusal
from bolti_server.base.ids import new_id
from bolti_server.workspaces import queries
from bolti_server.workspaces.queries import KeyKind, StoredKey

KEY_PREFIXES: Mapping[KeyKind, str] = {"secret": "bolti_sk_", "public": "bolti_pk_"}


@attrs.frozen
class Created:
    organization_id: str
    workspace_id: str


@attrs.frozen
class CreatedKey:
    """`token` is shown this once."""

    id: str
    token: str
    stored: StoredKey


async def create_organization(tx: Tx, *, name: str, country: str = "IN") -> Created:
    """An organization (`country`: ISO 3166, where its calls may go by default) and its first workspace, of the same name.

    Its ledgers are opened by `billing.ledger.open_ledgers` in the same transaction.
    """
    created = Created(new_id("org"), new_id("ws"))
    await queries.insert_organization_of_any_workspace(
        tx, created.organization_id, name=name, country=country
    )
    await queries.insert_workspace(
        tx, created.workspace_id, organization_id=created.organization_id, name=name
    )
    return created


async def create_api_key(
    tx: Tx,
    vault: Vault,
    workspace_id: str,
    *,
    name: str,
    scopes: Sequence[str],
    expires_at: datetime | None = None,
    kind: KeyKind = "secret",
    origins: Sequence[str] = (),
) -> CreatedKey:
    """`origins` (canonical, of `web.origins`) are a public key's and only that one's.

    Raises Refusal 400 where `expires_at` is not in the future.
    """
    key_id, token = new_id("key"), make_token(KEY_PREFIXES[kind])
    stored = await queries.insert_key(
        tx,
        workspace_id,
        key_id,
        name=name,
        kind=kind,
        origins=origins,
        token_hash=vault.hash_token(token),
        token_hint=token_hint(token),
        scopes=scopes,
        expires_at=expires_at,
    )
    if stored is None:
        detail = "Must be in the future."
        fault = Fault("too_small", detail, "/expires_at")
        raise Refusal(400, "validation_failed", f"expires_at: {detail}", faults=[fault])
    return CreatedKey(key_id, token, stored)
