"""Calls out by trunks of the workspace's own: not simulated, the live ledger, the outcomes that a SIP provider gives.

The phone network takes the host's name for how the provider behaves (docs/guides/phone-network.md). All run side by side.
"""

from __future__ import annotations

import asyncio
import itertools

from tests.stack.support.calls import ENDS_SECONDS, Caller, end_of, rule

from bolti import Conversation

SIDE_BY_SIDE = True

RINGS_SECONDS = 2
# Host → (status, code, SIP status), or the end of a call that nobody answers.
ENDS: dict[str, tuple[str, str, int | None]] = {
    "sip-486.test": ("busy", "busy", 486),
    "sip-603.test": ("rejected", "declined", 603),
    "sip-404.test": ("failed", "invalid_number", 404),
    "sip-480.test": ("failed", "unreachable", 480),
    "sip-403.test": ("failed", "destination_forbidden", 403),
    "sip-488.test": ("failed", "media_incompatible", 488),
    "sip-503.test": ("failed", "provider_unavailable", 503),
    "ringing.test": ("no_answer", "no_answer", None),  # it rang
    "silent.test": ("failed", "trunk_unreachable", None),  # it never did
    "nowhere.invalid": ("failed", "trunk_misconfigured", None),
}
_numbers = itertools.count(1)


async def call_by(caller: Caller, host: str, callee: str) -> Conversation:
    """A call from a number on a trunk of its own to somebody real (nothing real is reached: the phone network answers)."""
    index = next(_numbers)
    # The trial's money covers fifty minutes, and each call holds its cap.
    limits = {"ring_timeout_seconds": RINGS_SECONDS, "max_duration_seconds": 60}
    agent = await caller.agent(rule("goodbye", "Goodbye!", "cut_call"), limits=limits)
    trunk = await caller.bolti.trunks.create(name=f"Trunk {index}", outbound={"host": host})
    number = await caller.bolti.trunks.add_number(trunk.id, phone_number=f"+1415555{index:04}")
    await caller.bolti.agent_phone_numbers.assign(agent, number_id=number.id, direction="outbound")
    placed = await caller.bolti.agents.outbound_call(agent, to_number=callee)
    assert placed.simulated is False
    return await caller.ended(placed.conversation_id, ENDS_SECONDS + 30)


async def test_what_a_provider_answers_is_the_end_of_the_call_and_costs_nothing(
    caller: Caller,
) -> None:
    hosts = list(ENDS)
    calls = await asyncio.gather(
        *[call_by(caller, host, f"+1628555{4000 + index}") for index, host in enumerate(hosts)]
    )
    found = {
        host: (*end_of(call), call.hangup.sip_status if call.hangup else None)
        for host, call in zip(hosts, calls, strict=True)
    }
    assert found == ENDS
    for call in calls:
        assert call.line == "room"
        assert call.cost is None or call.cost.amount_micros == 0


async def test_a_call_by_a_trunk_that_is_answered_is_paid_from_the_live_ledger(
    caller: Caller,
) -> None:
    before = await caller.bolti.billing.balance(ledger="live")
    call = await call_by(caller, "sip.provider.test", "+16285554100")
    assert end_of(call) == ("completed", "agent_hangup")
    assert call.cost is not None
    after = await caller.bolti.billing.balance(ledger="live")
    assert before.balance_micros - after.balance_micros == call.cost.amount_micros > 0
