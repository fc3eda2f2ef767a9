"""What the two sides of a call in a room do with it: words, keys, transfers, mailboxes, caps. All calls run side by side."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
from tests.stack.support.calls import (
    PATIENT,
    Caller,
    SideBySide,
    callee,
    end_of,
    rule,
    seconds_between,
    tools_of,
)
from tests.stack.support.recordings import words_of

from bolti import Conversation

SIDE_BY_SIDE = True

GREETING = "Hello Ravi, this is Mira from Bright Dental."
WISH = "I would like an appointment on Tuesday."
OFFER = "Tuesday at ten is free."
THANKS = "Perfect, thank you. Goodbye."
FAREWELL = "Until Tuesday, goodbye!"
BOOKS = (rule("tuesday", OFFER), rule("goodbye", FAREWELL, "cut_call"))
MESSAGE = "This is Mira from Bright Dental. Please call back."
HUMAN, BUSY = "+12025550100", "+12025550101"


@attrs.frozen
class Played:
    call: Conversation
    dial: dict[str, Any]


async def play(caller: Caller, agent: str, **placing: Any) -> Played:
    placed = await caller.place(agent, **placing)
    call = await caller.ended(placed)
    (dial,) = [each for each in await caller.stack.dials() if each["room"] == placed]
    return Played(call, dial)


async def books(caller: Caller) -> Played:
    steps = ("answer", "wait_for_agent", {"say": WISH}, "wait_for_agent", {"say": THANKS})
    agent = await caller.agent(*BOOKS, first_message=GREETING)
    return await play(caller, agent, script=callee(*steps, "wait_for_hang_up"))


async def presses_keys(caller: Caller) -> Played:
    """The callee presses 42#, and later the agent presses 17."""
    agent = await caller.agent(
        rule("front desk", "One moment.", "send_dtmf", digits="17"),
        rule("goodbye", "Goodbye!", "cut_call"),
        built_in_tools=["cut_call", "send_dtmf"],
    )
    steps = ("answer", "wait_for_agent", {"press": "42#"}, {"wait": 2500}, {"say": "Front desk."})
    tail = ("wait_for_keys", {"say": "Thank you, goodbye."}, "wait_for_hang_up")
    return await play(caller, agent, script=callee(*steps, *tail))


async def _transfers(caller: Caller, to_number: str, number: int) -> Played:
    agent = await caller.agent(
        rule("billing", "I will put you through.", "transfer_call", target="billing"),
        rule("goodbye", "Goodbye!", "cut_call"),
        built_in_tools=["cut_call", "transfer_call"],
        transfer_targets=[{"name": "billing", "phone_number": to_number}],
    )
    steps = ("answer", "wait_for_agent", {"say": "I want to speak to billing."}, "wait_for_agent")
    tail = ("wait_for_agent", {"say": "Then goodbye."}, "wait_for_hang_up")
    return await play(caller, agent, script=callee(*steps, *tail), number=number)


async def is_put_through(caller: Caller) -> Played:
    return await _transfers(caller, HUMAN, 1)


async def is_not_put_through(caller: Caller) -> Played:
    return await _transfers(caller, BUSY, 2)


INTRODUCTION = "This is Ravi, who wants to book."
RAVI_SAYS = "I want to speak to billing."
RAVI_ENDS = "Tomorrow at nine. Goodbye."
BILLING = "+12025550151"
BILLING_SAYS = [
    "Hi. I would like to book an appointment for tomorrow, please.",
    "Thank you. Goodbye.",
]


@attrs.frozen
class Introduced:
    call: Conversation
    callee: dict[str, Any]
    guest: dict[str, Any]


async def _introduces(caller: Caller, to_number: str, *tail: Any) -> Introduced:
    agent = await caller.agent(
        rule(
            "billing",
            "They are busy.",
            "transfer_call",
            target="billing",
            introduction=INTRODUCTION,
        ),
        rule("goodbye", "Goodbye!", "cut_call"),
        built_in_tools=["cut_call", "transfer_call"],
        transfer_targets=[{"name": "billing", "phone_number": to_number, "mode": "warm"}],
        first_message=GREETING,
    )
    steps = ("answer", "wait_for_agent", {"say": RAVI_SAYS}, {"wait_for_agent": 20_000})
    script = callee(*steps, *tail)
    placed = await caller.place(agent, script=script)
    call = await caller.ended(placed)
    dials = {each["number"]: each for each in await caller.stack.dials() if each["room"] == placed}
    guest = dials.pop(to_number)
    (other,) = dials.values()
    return Introduced(call, other, guest)


async def is_introduced(caller: Caller) -> Introduced:
    tail = ({"wait_for_agent": 15_000}, {"say": RAVI_ENDS}, "wait_for_agent", "hang_up")
    return await _introduces(caller, BILLING, *tail)


async def is_not_introduced(caller: Caller) -> Introduced:
    return await _introduces(caller, BUSY, {"say": RAVI_ENDS}, "wait_for_hang_up")


async def leaves_a_message(caller: Caller) -> Played:
    agent = await caller.agent(
        is_answering_machine_detection_enabled=True,
        voicemail={"behaviour": "leave_message", "message": MESSAGE},
    )
    return await play(caller, agent, scenario="voicemail")


async def reaches_its_cap(caller: Caller) -> Played:
    agent = await caller.agent(limits={"max_duration_seconds": 7})
    return await play(caller, agent, script=PATIENT)


async def is_hung_up_before_its_cap(caller: Caller) -> Played:
    agent = await caller.agent(limits={"max_duration_seconds": 15})
    return await play(caller, agent, script=callee("answer", "wait_for_agent", "hang_up"))


async def is_not_answered(caller: Caller) -> Played:
    agent = await caller.agent(limits={"ring_timeout_seconds": 2})
    return await play(caller, agent, scenario="no_answer")


async def hears_nothing(caller: Caller) -> Played:
    agent = await caller.agent(limits={"silence_timeout_seconds": 4})
    number = "+12025550119"
    await caller.stack.behave(next="no_audio", number=number)
    return await play(caller, agent, to_number=number)


async def is_ended_by_its_user(caller: Caller) -> Played:
    agent = await caller.agent()
    placed = await caller.place(agent, script=PATIENT)
    await caller.has_turns(placed)
    await caller.bolti.conversations.end(placed, say="I have to go now.")
    call = await caller.ended(placed)
    (dial,) = [each for each in await caller.stack.dials() if each["room"] == placed]
    return Played(call, dial)


async def is_cancelled_while_it_rings(caller: Caller) -> Played:
    agent = await caller.agent()
    placed = await caller.place(agent, scenario="no_answer")
    await caller.reaches(placed, "ringing")
    await caller.bolti.conversations.end(placed)
    call = await caller.ended(placed)
    (dial,) = [each for each in await caller.stack.dials() if each["room"] == placed]
    return Played(call, dial)


SCENARIOS = (
    books,
    presses_keys,
    is_put_through,
    is_not_put_through,
    is_introduced,
    is_not_introduced,
    leaves_a_message,
    reaches_its_cap,
    is_hung_up_before_its_cap,
    is_not_answered,
    hears_nothing,
    is_ended_by_its_user,
    is_cancelled_while_it_rings,
)


@pytest.fixture(scope="module")
async def played(caller: Caller) -> AsyncIterator[SideBySide]:
    stage = SideBySide(caller, SCENARIOS)
    yield stage
    await stage.stop()


async def test_the_exact_words_cross_the_room_and_are_on_the_record_and_in_the_recording(
    caller: Caller, played: SideBySide
) -> None:
    booked: Played = await played.of(books)
    call, dial = booked.call, booked.dial
    assert end_of(call) == ("completed", "agent_hangup")
    agent, other = [GREETING, OFFER, FAREWELL], [WISH, THANKS]
    assert [turn.text for turn in call.transcript if turn.role == "agent"] == agent
    assert [turn.text for turn in call.transcript if turn.role == "user"] == other
    assert dial["heard"] == agent, "what came out of the telephone"
    left, right = words_of(await caller.bolti.conversations.recording(call.id))
    assert left == other
    assert right == agent
    assert call.line == "room"
    assert call.simulated
    assert call.cost is not None
    assert call.cost.amount_micros > 0


async def test_keys_arrive_on_both_sides(played: SideBySide) -> None:
    pressed: Played = await played.of(presses_keys)
    assert end_of(pressed.call) == ("completed", "agent_hangup")
    keys = [(turn.role, turn.dtmf) for turn in pressed.call.transcript if turn.dtmf]
    assert "".join(key for role, key in keys if role == "user") == "42#"
    assert keys[-1] == ("agent", "17")
    assert pressed.dial["keys"] == "17"


async def test_a_transfer_that_somebody_takes_ends_our_part_of_the_call(played: SideBySide) -> None:
    transferred: Played = await played.of(is_put_through)
    assert end_of(transferred.call) == ("completed", "transferred"), tools_of(transferred.call)


async def test_a_refused_transfer_comes_back_to_the_agent(played: SideBySide) -> None:
    refused: Played = await played.of(is_not_put_through)
    assert end_of(refused.call) == ("completed", "agent_hangup")
    (tool,) = [tool for tool in tools_of(refused.call) if tool.name == "transfer_call"]
    assert tool.is_error


async def test_who_takes_a_call_over_is_introduced_and_they_talk_word_for_word(
    caller: Caller, played: SideBySide
) -> None:
    warm: Introduced = await played.of(is_introduced)
    call = warm.call
    assert end_of(call) == ("completed", "transferred"), (tools_of(call), warm)
    assert warm.callee["heard"] == [GREETING, INTRODUCTION, *BILLING_SAYS]
    assert warm.guest["heard"] == [INTRODUCTION, RAVI_ENDS]
    assert [turn.text for turn in call.transcript if turn.role == "user"] == [RAVI_SAYS]
    left, right = words_of(await caller.bolti.conversations.recording(call.id))
    assert left == [RAVI_SAYS, RAVI_ENDS]
    assert right == [GREETING, INTRODUCTION, *BILLING_SAYS], "both who talked with the callee"
    assert call.cost is not None
    assert call.cost.amount_micros > 0


async def test_a_warm_transfer_that_nobody_takes_comes_back_to_the_agent(
    played: SideBySide,
) -> None:
    refused: Introduced = await played.of(is_not_introduced)
    assert end_of(refused.call) == ("completed", "agent_hangup")
    (tool,) = [tool for tool in tools_of(refused.call) if tool.name == "transfer_call"]
    assert tool.is_error
    assert refused.callee["heard"] == [GREETING, "They are busy.", "Goodbye!"]


async def test_a_mailbox_gets_the_whole_message_after_its_beep(
    caller: Caller, played: SideBySide
) -> None:
    left: Played = await played.of(leaves_a_message)
    assert end_of(left.call) == ("completed", "voicemail")
    assert " ".join(left.dial["heard"]).endswith(MESSAGE)
    _, right = words_of(await caller.bolti.conversations.recording(left.call.id))
    assert " ".join(right).endswith(MESSAGE)


async def test_the_cap_is_told_from_a_hang_up(played: SideBySide) -> None:
    capped: Played = await played.of(reaches_its_cap)
    assert end_of(capped.call) == ("completed", "max_duration")
    assert capped.call.duration_seconds in (7, 8)
    hung_up: Played = await played.of(is_hung_up_before_its_cap)
    assert end_of(hung_up.call) == ("completed", "remote_hangup")


async def test_ringing_that_nobody_ends_is_no_answer_and_costs_nothing(played: SideBySide) -> None:
    unanswered: Played = await played.of(is_not_answered)
    call = unanswered.call
    assert end_of(call) == ("no_answer", "no_answer")
    assert call.ringing_at is not None
    assert call.answered_at is None
    assert seconds_between(call.ringing_at, call.ended_at) < 4
    assert call.recording_status == "none"
    assert call.cost is None or call.cost.amount_micros == 0


async def test_a_callee_that_sends_no_sound_ends_by_silence(played: SideBySide) -> None:
    silent: Played = await played.of(hears_nothing)
    assert end_of(silent.call) == ("completed", "silence_timeout")


async def test_a_user_s_last_words_are_heard_before_the_hang_up(played: SideBySide) -> None:
    ended: Played = await played.of(is_ended_by_its_user)
    assert end_of(ended.call) == ("completed", "ended_by_user")
    assert ended.dial["heard"][-1].endswith("I have to go now.")


async def test_a_call_that_is_cancelled_stops_ringing(played: SideBySide) -> None:
    cancelled: Played = await played.of(is_cancelled_while_it_rings)
    assert end_of(cancelled.call) == ("cancelled", "cancelled_by_user")
    assert cancelled.dial["ended_at"] is not None
