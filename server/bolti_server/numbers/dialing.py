"""What a dial has to know of the trunk that carries it."""

from __future__ import annotations

from bolti_server.base.crypto import Vault
from bolti_server.base.db import Tx
from bolti_server.numbers import trunk_queries, trunk_records
from bolti_server.numbers.trunk_queries import StoredTrunk
from bolti_server.worker_api.messages import SipTrunk


async def can_dial(tx: Tx, workspace_id: str, trunk_id: str) -> bool:
    """Whether `trunk_to_dial` finds where to."""
    return await _outbound_trunk(tx, workspace_id, trunk_id) is not None


async def trunk_to_dial(tx: Tx, vault: Vault, workspace_id: str, trunk_id: str) -> SipTrunk | None:
    """Where and as whom to dial; None where the trunk is deleted, or can't dial (any more), and for the simulated network's,
    which is dialed nowhere."""
    stored = await _outbound_trunk(tx, workspace_id, trunk_id)
    if stored is None:
        return None
    assert stored.host is not None
    assert stored.transport is not None, "the table says so"
    return SipTrunk(
        host=stored.host,
        transport=stored.transport,
        username=stored.outbound_username,
        password=trunk_records.unsealed(
            vault, stored, "outbound_password", stored.outbound_password_sealed
        ),
        codecs=list(stored.codecs),
    )


async def _outbound_trunk(tx: Tx, workspace_id: str, trunk_id: str) -> StoredTrunk | None:
    stored = await trunk_queries.find_trunk(tx, workspace_id, trunk_id)
    is_usable = stored is not None and stored.can_outbound and stored.host is not None
    return stored if is_usable else None
