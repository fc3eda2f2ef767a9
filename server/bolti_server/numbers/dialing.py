"""What a dial has to know of the trunk that carries it."""

from __future__ import annotations

from bolti_server.base.crypto import Vault
from bolti_server.base.db import Tx
from bolti_server.numbers import trunk_queries, trunk_records
from bolti_server.worker_api.messages import SipTrunk


async def trunk_to_dial(tx: Tx, vault: Vault, workspace_id: str, trunk_id: str) -> SipTrunk | None:
    """Where and as whom to dial; None where the trunk is deleted, or can't dial (any more), and for the simulated network's,
    which is dialed nowhere."""
    stored = await trunk_queries.find_trunk(tx, workspace_id, trunk_id)
    if stored is None or not stored.can_outbound or stored.host is None:
        return None
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
