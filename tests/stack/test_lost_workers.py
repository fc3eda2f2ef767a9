"""Agents and workers that are killed at each point of a call's life. The phone network is the judge of every dial."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import Any

from tests.stack.support.calls import PATIENT, Caller, callee, end_of, rule
from tests.stack.support.checks import until
from tests.stack.support.stack import Stack

from bolti import Conversation

SAYS_GOODBYE = rule("goodbye", "Goodbye!", "cut_call")
# Waits for somebody who answers: what it says while nobody hears it, it says again.
WAITS = callee(
    "answer",
    "wait_for_agent",
    {"say": "One moment, please."},
    *[{"wait_for_agent": 9_000}, {"say": "I am here. Goodbye."}] * 6,
    {"wait_for_hang_up": 15_000},
)
# Talks on for half a minute: longer than LiveKit's agents let a job live that they believe to be over.
TALKS_ON = callee(
    "answer",
    "wait_for_agent",
    {"say": "One moment, please."},
    *[{"wait_for_agent": 9_000}, {"say": "Please go on."}] * 7,
    *[{"wait_for_agent": 9_000}, {"say": "I am here. Goodbye."}] * 3,
    {"wait_for_hang_up": 15_000},
)
RINGS_LONG = callee(
    {"ring": 9_000},
    "answer",
    *[{"wait_for_agent": 9_000}, {"say": "Hello and goodbye."}] * 4,
    {"wait_for_hang_up": 15_000},
)
LOST_SECONDS = 90.0
RECOVERY_SECONDS = 2.0  # reliability.md, invariant 11


async def kill_job(stack: Stack, conversation_id: str) -> None:
    """kill -9 of the one process that carries this call; its worker lives."""

    async def look() -> int | None:
        return stack.job_of(conversation_id)

    os.kill(await until(look, 20, f"a process that carries {conversation_id}"), signal.SIGKILL)


def stop_all_workers(stack: Stack) -> None:
    for worker in stack.workers.values():
        worker.kill_all()


async def dials_of(stack: Stack, conversation_id: str) -> int:
    return len([dial for dial in await stack.dials() if dial["room"] == conversation_id])


async def epoch_of(stack: Stack, conversation_id: str) -> int:
    (row,) = await stack.rows("select epoch from conversations where id = $1", conversation_id)
    return int(row["epoch"])


async def test_a_dispatch_that_nobody_takes_is_repeated_until_there_is_a_worker(
    stack: Stack, caller: Caller
) -> None:
    agent = await caller.agent(SAYS_GOODBYE)
    stop_all_workers(stack)
    coming = stack.start_worker("worker-1")

    async def is_about_to_register() -> bool:
        return "worker_ready" in coming.told()

    await until(is_about_to_register, 60, "a worker that has begun")
    placed = await caller.place(agent, scenario="answers")
    call = await caller.ended(placed)
    assert end_of(call) == ("completed", "agent_hangup")
    assert await epoch_of(stack, placed) == 2


async def test_a_call_that_no_worker_takes_is_not_placed_and_not_billed(
    stack: Stack, caller: Caller
) -> None:
    agent = await caller.agent()
    stop_all_workers(stack)
    began = time.monotonic()
    placed = await caller.place(agent, scenario="answers")
    call = await caller.ended(placed)
    assert end_of(call) == ("failed", "agent_unavailable")
    assert 13 < time.monotonic() - began < 20
    assert await dials_of(stack, placed) == 0
    assert call.cost is None or call.cost.amount_micros == 0


async def test_a_worker_that_is_lost_before_the_dial_is_replaced_and_the_number_dialed_once(
    stack: Stack, caller: Caller
) -> None:
    await stack.wait_for_workers()
    agent = await caller.agent(SAYS_GOODBYE)
    held = stack.server_gate.hold("dial-intent", "request")
    placed = await caller.place(agent, scenario="answers")
    await held.reached()
    stack.worker_of(placed).kill_all()
    held.drop()
    call = await caller.ended(placed, LOST_SECONDS)
    assert end_of(call) == ("completed", "agent_hangup")
    assert await dials_of(stack, placed) == 1


async def test_a_worker_that_is_lost_between_intent_and_send_leaves_an_unknown_outcome_and_no_dial(
    stack: Stack, caller: Caller
) -> None:
    await stack.wait_for_workers()
    agent = await caller.agent(SAYS_GOODBYE)
    held = stack.server_gate.hold("dial-intent", "answer")
    placed = await caller.place(agent, scenario="answers")
    await held.reached()
    stack.worker_of(placed).kill_all()
    held.drop()
    call = await caller.ended(placed, LOST_SECONDS)
    assert end_of(call) == ("failed", "outcome_unknown")
    assert await dials_of(stack, placed) == 0
    assert call.cost is None or call.cost.amount_micros == 0


async def test_a_job_that_is_lost_while_it_rings_is_replaced_before_anybody_answers(
    stack: Stack, caller: Caller
) -> None:
    await stack.wait_for_workers()
    agent = await caller.agent(SAYS_GOODBYE)
    placed = await caller.place(agent, script=RINGS_LONG)
    await caller.reaches(placed, "ringing")
    await kill_job(stack, placed)
    call = await caller.ended(placed, LOST_SECONDS)
    assert end_of(call) == ("completed", "agent_hangup")
    assert await dials_of(stack, placed) == 1
    assert spoken_by_agent(call)[-1] == "Goodbye!"


async def test_a_job_that_is_lost_in_mid_call_is_replaced_and_the_callee_hears_the_next_agent(
    stack: Stack, caller: Caller
) -> None:
    await stack.wait_for_workers()
    agent = await caller.agent(SAYS_GOODBYE)
    placed = await caller.place(agent, script=TALKS_ON)
    await caller.has_turns(placed, 2)
    await kill_job(stack, placed)
    call = await caller.ended(placed, LOST_SECONDS)
    assert end_of(call) == ("completed", "agent_hangup")
    assert await dials_of(stack, placed) == 1
    assert await epoch_of(stack, placed) == 2
    assert spoken_by_agent(call)[-1] == "Goodbye!"
    (dial,) = [dial for dial in await stack.dials() if dial["room"] == placed]
    assert dial["heard"][-1] == "Goodbye!"
    assert call.cost is not None
    await stack_has_both_parts(caller, call)


async def test_a_machine_that_is_lost_in_mid_call_is_replaced_by_another(
    stack: Stack, caller: Caller
) -> None:
    """Two workers share six calls; one is lost with all of its processes."""
    await stack.wait_for_workers()
    agent = await caller.agent(SAYS_GOODBYE)
    placed = [await caller.place(agent, script=WAITS) for _ in range(6)]
    await asyncio.gather(*[caller.has_turns(each, 2) for each in placed])
    lost = stack.worker_of(placed[0])
    moved = [each for each in placed if stack.worker_of(each) is lost]
    assert len(moved) < len(placed), "both carry calls"
    lost.kill_all()
    calls = await caller.all_ended(placed, LOST_SECONDS)
    assert [end_of(call) for call in calls] == [("completed", "agent_hangup")] * 6
    for each in placed:
        assert await epoch_of(stack, each) == (2 if each in moved else 1)
        assert await dials_of(stack, each) == 1


async def test_a_call_whose_agents_are_all_lost_is_hung_up_as_agent_lost(
    stack: Stack, caller: Caller
) -> None:
    agent = await caller.agent(SAYS_GOODBYE)
    placed = await caller.place(agent, script=PATIENT)
    await caller.has_turns(placed)
    stop_all_workers(stack)
    call = await caller.ended(placed, 60)
    assert end_of(call) == ("failed", "agent_lost")
    assert call.answered_at is not None
    assert call.cost is None or call.cost.amount_micros == 0

    async def is_hung_up() -> bool:
        return all(each["ended_at"] for each in await stack.dials() if each["room"] == placed)

    await until(is_hung_up, 10, "the callee is hung up")


async def test_a_call_that_is_lost_with_its_callee_ends_with_the_truth(
    stack: Stack, caller: Caller
) -> None:
    """The callee hangs up while no agent is there."""
    agent = await caller.agent(SAYS_GOODBYE)
    steps = ("answer", "wait_for_agent", {"say": "I can't hear you."}, {"wait": 1_000}, "hang_up")
    placed = await caller.place(agent, script=callee(*steps))
    await caller.has_turns(placed)
    stop_all_workers(stack)

    async def is_gone() -> bool:
        return all(each["ended_at"] for each in await stack.dials() if each["room"] == placed)

    await until(is_gone, 20, "the callee has hung up")
    call = await caller.ended(placed, LOST_SECONDS)
    assert end_of(call) == ("completed", "remote_hangup")


async def test_a_paused_agent_that_wakes_after_its_successor_changes_nothing(
    stack: Stack, caller: Caller
) -> None:
    await stack.wait_for_workers()
    agent = await caller.agent(SAYS_GOODBYE)
    placed = await caller.place(agent, script=WAITS)
    await caller.has_turns(placed, 2)
    paused = stack.job_of(placed)
    assert paused is not None
    os.kill(paused, signal.SIGSTOP)

    async def has_successor() -> bool:
        return await epoch_of(stack, placed) == 2

    await until(has_successor, 40, "the paused agent was taken for lost")
    os.kill(paused, signal.SIGCONT)
    call = await caller.ended(placed, LOST_SECONDS)
    assert end_of(call) in (("completed", "agent_hangup"), ("completed", "remote_hangup"))
    assert await dials_of(stack, placed) == 1


async def test_a_deploy_during_five_calls_drops_none(stack: Stack, caller: Caller) -> None:
    """Each worker is told to stop and has a successor; the next call goes to those."""
    agent = await caller.agent(SAYS_GOODBYE)
    await stack.wait_for_workers()
    placed = [await caller.place(agent, scenario="answers") for _ in range(5)]
    await asyncio.gather(*[caller.has_turns(each) for each in placed])
    old = list(stack.workers.values())
    stack.start_worker("next")
    await until(lambda: _is_up(stack, "next"), 60, "the next worker")
    for worker in old:
        worker.terminate()
    later = await caller.place(agent, scenario="answers")
    calls = await caller.all_ended([*placed, later], LOST_SECONDS)
    assert [end_of(call) for call in calls] == [("completed", "agent_hangup")] * 6
    for each in placed:
        assert await epoch_of(stack, each) == 1, "its own agent has carried it to its end"
    assert [await asyncio.to_thread(worker.wait, 30) for worker in old] == [0, 0]


async def _is_up(stack: Stack, name: str) -> bool:
    return "rooms_ready" in stack.workers[name].told()


BILLING = "+12025550152"


async def handed_over(caller: Caller, *tail: Any, **settings: Any) -> str:
    """A call whose two were brought together; its agent has nothing more to say."""
    agent = await caller.agent(
        rule("billing", "", "transfer_call", target="billing", introduction="This is Ravi."),
        built_in_tools=["transfer_call"],
        transfer_targets=[{"name": "billing", "phone_number": BILLING, "mode": "warm"}],
        **settings,
    )
    steps = ("answer", "wait_for_agent", {"say": "Billing, please."}, {"wait_for_agent": 15_000})
    placed = await caller.place(agent, script=callee(*steps, *tail))
    await caller.is_handed_over(placed)
    return placed


async def is_closed(stack: Stack, room: str) -> bool:
    return room not in await stack.livekit.rooms()


async def test_two_who_were_introduced_talk_on_when_their_agent_is_lost(
    stack: Stack, caller: Caller
) -> None:
    await stack.wait_for_workers()
    tail = ({"wait": 8_000}, {"say": "Are you still there? Goodbye."}, {"wait": 5_000}, "hang_up")
    placed = await handed_over(caller, *tail)
    await kill_job(stack, placed)
    call = await caller.ended(placed)
    assert end_of(call) == ("completed", "transferred")
    assert not await is_closed(stack, placed)

    async def is_over() -> bool:
        return await is_closed(stack, placed)

    await until(is_over, 40, "the room of two who have hung up is closed")
    dials = {each["number"]: each for each in await stack.dials() if each["room"] == placed}
    assert dials[BILLING]["heard"][-1] == "Are you still there? Goodbye."


async def test_a_deploy_does_not_disturb_two_who_were_introduced(
    stack: Stack, caller: Caller
) -> None:
    """The worker waits for them as for any call, and then leaves them alone."""
    await stack.wait_for_workers()
    placed = await handed_over(
        caller, {"wait": 12_000}, {"say": "Goodbye."}, {"wait": 2_000}, "hang_up"
    )
    worker = stack.worker_of(placed)
    stack.start_worker("next")
    worker.terminate()
    call = await caller.ended(placed)
    assert end_of(call) == ("completed", "transferred")
    dials = {each["number"]: each for each in await stack.dials() if each["room"] == placed}
    assert dials[BILLING]["heard"][-1] == "Goodbye."
    assert await asyncio.to_thread(worker.wait, 30) == 0


def spoken_by_agent(call: Conversation) -> list[str]:
    return [turn.text for turn in call.transcript if turn.role == "agent"]


async def stack_has_both_parts(caller: Caller, call: Conversation) -> None:
    """What the lost agent had recorded is joined with what its successor has."""
    recorded = await caller.has_recording(call.id)
    assert recorded.recording_status == "available"


async def test_a_call_that_was_taken_over_is_ended_by_its_user_like_any_other(
    stack: Stack, caller: Caller
) -> None:
    agent = await caller.agent()
    placed = await caller.place(agent, script=PATIENT)
    turns = await caller.has_turns(placed, 1)
    await kill_job(stack, placed)
    await caller.has_turns(placed, len(turns.transcript) + 3)
    await caller.bolti.conversations.end(placed)
    call = await caller.ended(placed)
    assert end_of(call) == ("completed", "ended_by_user"), await stack.rows(
        "select epoch, rescue_due_at, line_lost_at, blind_since, heartbeat_at, hangup_detail, ended_at"
        " from conversations where id = $1",
        placed,
    )
