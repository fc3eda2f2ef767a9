"""Calls that come in through the phone network: answered by the number's agent, or never, with a record that says why. All
calls run side by side."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
from tests.stack.support.calls import Caller, SideBySide, callee, end_of, rule
from tests.stack.support.checks import until
from tests.stack.support.recordings import words_of

from bolti import Conversation, Trunk

SIDE_BY_SIDE = True

ADDRESS = "127.0.0.0/8"  # from where the phone network calls
GREETING = "Bright Dental, this is Mira."
WISH = "I would like an appointment on Tuesday."
OFFER = "Until Tuesday at ten, goodbye!"  # one sentence: one run of the modem
BOOKS = rule("tuesday", OFFER, "cut_call")
ASKS = callee("answer", "wait_for_agent", {"say": WISH}, "wait_for_hang_up")


@attrs.frozen
class Called:
    call: dict[str, Any]  # as the phone network tells it
    record: Conversation


async def ready_trunk(caller: Caller, number: str, agent_id: str | None) -> Trunk:
    """A trunk of the workspace's own with this number, that the SIP service knows."""
    trunk = await caller.bolti.trunks.create(
        name=f"In {number}", inbound={"allowed_addresses": [ADDRESS]}
    )
    added = await caller.bolti.trunks.add_number(trunk.id, phone_number=number)
    if agent_id is not None:
        await caller.bolti.agent_phone_numbers.assign(
            agent_id, number_id=added.id, direction="inbound"
        )

    async def look() -> Trunk | None:
        found = await caller.bolti.trunks.get(trunk.id)
        return found if found.inbound_status == "ready" else None

    return await until(look, 30, f"{trunk.name} is ready")


async def call_in(caller: Caller, number: str, from_number: str, **more: Any) -> Called:
    call = await caller.stack.call_in(from_number, number, **more)

    async def look() -> Conversation | None:
        listed = caller.bolti.conversations.list(direction="inbound", to_number=number)
        for each in (await listed).data:
            found = await caller.bolti.conversations.get(each.id)
            return found if found.ended_at is not None else None
        return None

    return Called(call, await until(look, 60, f"the call to {number} is over"))


async def is_answered(caller: Caller) -> Called:
    number = "+918041230001"
    agent = await caller.agent(BOOKS, first_message=GREETING)
    await ready_trunk(caller, number, agent)
    return await call_in(caller, number, "+12025550120", script=ASKS, voice="modem", until="ended")


async def comes_from_the_simulated_network(caller: Caller) -> Called:
    number_id = await caller.number(1)
    number = (await caller.bolti.numbers.get(number_id)).phone_number
    agent = await caller.agent(BOOKS, first_message=GREETING)
    await caller.bolti.agent_phone_numbers.assign(agent, number_id=number_id, direction="inbound")
    await caller.stack.tell_trunks_again()
    return await call_in(caller, number, "+12025550121", script=ASKS, voice="modem", until="ended")


async def has_no_agent(caller: Caller) -> Called:
    number = "+918041230002"
    await ready_trunk(caller, number, None)
    return await call_in(caller, number, "+12025550122", until="ended")


async def has_an_inactive_agent(caller: Caller) -> Called:
    number = "+918041230003"
    await ready_trunk(caller, number, await caller.agent(is_active=False))
    return await call_in(caller, number, "anonymous", until="ended")


async def is_not_ours_any_more(caller: Caller) -> tuple[dict[str, Any], Trunk]:
    number = "+918041230004"
    trunk = await ready_trunk(caller, number, None)
    (added,) = (await caller.bolti.numbers.list(trunk_id=trunk.id)).data
    await caller.bolti.numbers.release(added.id)

    async def look() -> Trunk | None:
        found = await caller.bolti.trunks.get(trunk.id)
        return found if found.inbound_status == "none" else None

    await until(look, 30, "the SIP service forgets the trunk")

    async def is_gone() -> dict[str, Any] | None:
        call = await caller.stack.call_in("+12025550123", number, until="ended")
        return call if call["sip_status"] == 404 else None

    return await until(is_gone, 30, "nobody can call it"), trunk


SCENARIOS = (
    is_answered,
    comes_from_the_simulated_network,
    has_no_agent,
    has_an_inactive_agent,
    is_not_ours_any_more,
)


@pytest.fixture(scope="module")
async def played(caller: Caller) -> AsyncIterator[SideBySide]:
    stage = SideBySide(caller, SCENARIOS)
    yield stage
    await stage.stop()


async def test_a_call_is_answered_by_the_numbers_agent_and_every_word_is_on_the_record(
    caller: Caller, played: SideBySide
) -> None:
    called: Called = await played.of(is_answered)
    record = called.record
    assert end_of(record) == ("completed", "agent_hangup")
    assert (record.simulated, record.line, record.direction) == (False, "room", "inbound")
    assert (record.from_number, record.to_number) == ("+12025550120", "+918041230001")
    assert record.said_by("agent") == (GREETING, OFFER)
    assert record.said_by("user") == (WISH,)
    assert called.call["sip_status"] == 200
    assert record.cost is not None
    assert (record.cost.ledger, record.cost.amount_micros > 0) == ("live", True)
    await caller.has_recording(record.id)
    sound = await caller.bolti.conversations.recording(record.id)
    assert words_of(sound) == ([WISH], [GREETING, OFFER])


async def test_somebody_of_the_simulated_network_can_call_without_any_trunk(
    played: SideBySide,
) -> None:
    record = (await played.of(comes_from_the_simulated_network)).record
    assert end_of(record) == ("completed", "agent_hangup")
    assert record.simulated
    assert record.cost is not None
    assert record.cost.ledger == "test"


async def test_a_number_without_an_agent_is_never_answered_and_its_record_says_why(
    played: SideBySide,
) -> None:
    called: Called = await played.of(has_no_agent)
    assert end_of(called.record) == ("rejected", "agent_inactive")
    assert (called.record.agent, called.record.answered_at) == (None, None)
    assert called.call["sip_status"] == 486


async def test_an_inactive_agent_never_answers_not_even_anonymous_callers(
    played: SideBySide,
) -> None:
    called: Called = await played.of(has_an_inactive_agent)
    assert end_of(called.record) == ("rejected", "agent_inactive")
    assert called.record.agent is not None
    assert called.record.from_number is None
    assert called.call["sip_status"] == 486


async def test_a_number_that_is_released_can_not_be_called_any_more(played: SideBySide) -> None:
    call, _ = await played.of(is_not_ours_any_more)
    assert call["sip_status"] == 404
