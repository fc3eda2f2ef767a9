"""Whether somebody may be called into a call for a warm transfer, and by what.

Rules: only the agent that has the call may ask, while the callee is on the line, and only for a `transfer_call` that was
answered with the permission (`built_in_tools`): the gate of every dial is there. It dials once for each; asking again is
safe.
"""

from __future__ import annotations

from bolti_server.base.db import decode_json
from bolti_server.base.errors import Refusal
from bolti_server.calls import artifact_queries, built_in_tools, call_trunks, leases
from bolti_server.calls import worker_queries as queries
from bolti_server.calls.lifecycle import Status
from bolti_server.worker_api.messages import TransferIntent, TransferIntentAnswer
from bolti_server.world import World


async def permit(
    world: World, conversation_id: str, intent: TransferIntent
) -> TransferIntentAnswer:
    """By which trunk and from which number. Raises Refusal 409 where nobody may be called."""
    async with world.db.transaction(is_readonly=True) as tx:
        call = await queries.find_call_of_any_workspace(tx, conversation_id)
        if call is None or call.status is not Status.IN_PROGRESS:
            raise _refusal("Nobody is on the line.")
        leases.check_epoch(call, intent.epoch)
        asked = await artifact_queries.find_tool_call(
            tx, call.workspace_id, call.id, intent.tool_call_id
        )
        if asked is None or asked.name != built_in_tools.TRANSFER_CALL or asked.status != "done":
            raise _refusal("No such transfer was permitted.")
        if not built_in_tools.is_warm(decode_json(asked.result)):
            raise _refusal("That transfer is cold.")
        try:
            trunk = await call_trunks.trunk_of(tx, world, call)
        except call_trunks.NoTrunk as error:
            raise _refusal(error.detail) from error
    assert call.our_number is not None, f"{call.id} has no number of ours"
    return TransferIntentAnswer(trunk=trunk, from_number=call.our_number)


def _refusal(why: str) -> Refusal:
    return Refusal(409, "transfer_refused", f"Call nobody. {why}")
