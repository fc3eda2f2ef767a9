"""Trunks as the API shows them, and their passwords as they lie in the database.

Rule: a password is sealed with its place (workspace, trunk, field) and leaves only towards the SIP service; no answer, event
or log has it.
"""

from __future__ import annotations

from typing import Literal

from bolti_server.base.clock import rfc3339
from bolti_server.base.crypto import Vault
from bolti_server.contract import structs
from bolti_server.numbers.trunk_queries import StoredTrunk
from bolti_server.web.preconditions import etag_of

PasswordField = Literal["outbound_password", "inbound_password"]


def trunk_record(stored: StoredTrunk) -> structs.Trunk:
    return structs.Trunk(
        id=stored.id,
        workspace_id=stored.workspace_id,
        version=stored.version,
        name=stored.name,
        kind=stored.kind,
        can_inbound=stored.can_inbound,
        can_outbound=stored.can_outbound,
        outbound=_outbound(stored),
        inbound=_inbound(stored),
        codecs=list(stored.codecs),
        inbound_status=stored.inbound_status,
        inbound_detail=stored.inbound_detail,
        created_at=rfc3339(stored.created_at),
        updated_at=rfc3339(stored.updated_at),
    )


def etag(stored: StoredTrunk) -> str:
    """Of its answer: `inbound_status` changes without anybody's saving."""
    return etag_of(stored.version, stored.answer_changes)


def sealed(
    vault: Vault, workspace_id: str, trunk_id: str, field: PasswordField, password: str
) -> bytes:
    return vault.encrypt(
        password.encode(), workspace_id=workspace_id, table="trunks", row_id=trunk_id, field=field
    )


def unsealed(
    vault: Vault, stored: StoredTrunk, field: PasswordField, password: bytes | None
) -> str | None:
    """Raises base.crypto.Undecryptable."""
    if password is None:
        return None
    return vault.decrypt(
        password,
        workspace_id=stored.workspace_id,
        table="trunks",
        row_id=stored.id,
        field=field,
    ).decode()


def _outbound(stored: StoredTrunk) -> structs.TrunkOutbound | None:
    if stored.host is None:
        return None
    assert stored.transport is not None, "the table says so"
    return structs.TrunkOutbound(
        host=stored.host,
        transport=stored.transport,
        username=stored.outbound_username,
        has_password=stored.outbound_password_sealed is not None,
    )


def _inbound(stored: StoredTrunk) -> structs.TrunkInbound | None:
    if stored.is_simulated or not stored.can_inbound:
        return None
    return structs.TrunkInbound(
        allowed_addresses=list(stored.allowed_addresses),
        username=stored.inbound_username,
        has_password=stored.inbound_password_sealed is not None,
    )
