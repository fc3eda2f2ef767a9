"""The point of no return: a worker asks to dial, and gets `send` once.

Rules (reliability.md, "The dial"): the intent (status, epoch, nonce) is committed before anybody dials; only the process
with the current epoch gets `send`, and again for the same nonce, because a process that asks again knows that it has
not sent; everybody else gets 409. The money for the call is held (a browser's call is free), or nobody dials. Whoever lost
the answer and comes after the deadline of the dial request may not send any more.
"""

from __future__ import annotations

from bolti_server.base.db import Tx
from bolti_server.base.errors import Refusal
from bolti_server.billing import ledger
from bolti_server.calls import call_trunks, leases, moves
from bolti_server.calls import worker_queries as queries
from bolti_server.calls.lifecycle import Fact, HangupCode, Status
from bolti_server.calls.moves import Ending
from bolti_server.calls.worker_queries import LiveCall
from bolti_server.worker_api.messages import DialIntent, DialIntentAnswer, SipTrunk
from bolti_server.world import World

MOST_NONCE_CHARACTERS = 200


async def commit_intent(world: World, conversation_id: str, intent: DialIntent) -> DialIntentAnswer:
    """`send`. Raises Refusal 409 to anyone who must not dial, and 400 for no nonce."""
    if not 0 < len(intent.nonce) <= MOST_NONCE_CHARACTERS:
        raise Refusal(400, "validation_failed", "nonce: Is 1 to 200 characters.")
    async with world.db.transaction() as tx:
        call = await queries.lock_call_of_any_workspace(tx, conversation_id)
        trunk = await _decide(tx, world, call, intent)
    if isinstance(trunk, Refusal):  # raised here: what `_decide` did about it stays
        raise trunk
    return DialIntentAnswer(answer="send", trunk=trunk)


async def _decide(
    tx: Tx, world: World, call: LiveCall | None, intent: DialIntent
) -> SipTrunk | Refusal | None:
    """By which trunk to send (None: the line needs none), or why not to."""
    if call is None:
        return _too_late("There is no such conversation.")
    leases.check_epoch(call, intent.epoch)
    is_due = call.deadline_at is None or call.deadline_at <= call.now
    if call.status is Status.DIALING and call.dial_nonce == intent.nonce and not is_due:
        return await _trunk(tx, world, call)
    if call.status is not Status.QUEUED or is_due:
        return _too_late(f"The conversation is {call.status}.")
    is_paid = call.direction == "web" or await ledger.has_open_hold(tx, call.workspace_id, call.id)
    if not is_paid:
        ending = Ending(HangupCode.INSUFFICIENT_CREDITS, "No money is held for this call.")
        await moves.move(tx, world, call, Fact.ENDED, ending=ending)
        return _too_late("No money is held for this call.")
    call = (await moves.move(tx, world, call, Fact.INTENT, nonce=intent.nonce)).call
    return await _trunk(tx, world, call)


async def _trunk(tx: Tx, world: World, call: LiveCall) -> SipTrunk | Refusal | None:
    """Where to send the call; it ends here where its trunk can't dial any more."""
    try:
        return await call_trunks.trunk_of(tx, world, call)
    except call_trunks.NoTrunk as error:
        ending = Ending(HangupCode.TRUNK_MISCONFIGURED, error.detail)
        await moves.move(tx, world, call, Fact.ENDED, ending=ending)
        return _too_late(error.detail)


def _too_late(why: str) -> Refusal:
    return Refusal(409, "dial_refused", f"Do not dial. {why}")
