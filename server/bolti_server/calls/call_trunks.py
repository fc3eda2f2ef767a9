"""By which trunk a call dials its callee, and whoever is called into it. Its secrets are told to the one who dials alone."""

from __future__ import annotations

import attrs

from bolti_server.base.crypto import Undecryptable
from bolti_server.base.db import Tx
from bolti_server.base.logging import get_logger
from bolti_server.calls.worker_queries import LiveCall
from bolti_server.numbers import dialing
from bolti_server.worker_api.messages import SipTrunk
from bolti_server.world import World

# The phone network's stand-in knows its callees by their numbers alone (phone_network).
SIMULATED_TRUNK = SipTrunk(host="simulated", transport="udp")

GONE = "The number's trunk was deleted, or can't call out."

log = get_logger("trunks")


@attrs.frozen
class NoTrunk(Exception):
    """It can't dial, or can't any more."""

    detail: str


async def can_dial(tx: Tx, call: LiveCall) -> bool:
    """Whether `trunk_of` would find where to send somebody, its password aside."""
    if call.line != "room" or call.simulated:
        return True
    assert call.trunk_id is not None, f"{call.id} has no trunk"
    return await dialing.can_dial(tx, call.workspace_id, call.trunk_id)


async def trunk_of(tx: Tx, world: World, call: LiveCall) -> SipTrunk | None:
    """None: its line needs none. Raises NoTrunk."""
    if call.line != "room":
        return None
    if call.simulated:
        return SIMULATED_TRUNK
    assert call.trunk_id is not None, f"{call.id} has no trunk"
    try:
        trunk = await dialing.trunk_to_dial(tx, world.vault, call.workspace_id, call.trunk_id)
    except Undecryptable as error:
        log.error("trunk_not_unsealed", conversation_id=call.id, detail=str(error))
        raise NoTrunk("The password of the number's trunk can't be read: save it again.") from error
    if trunk is None:
        raise NoTrunk(GONE)
    return trunk
