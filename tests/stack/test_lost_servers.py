"""Servers, media servers and phone networks that are killed during calls, and answers that are lost."""

from __future__ import annotations

import asyncio

from tests.stack.support.calls import PATIENT, Caller, end_of
from tests.stack.support.checks import until
from tests.stack.support.stack import Stack
from tests.stack.test_lost_workers import RINGS_LONG, SAYS_GOODBYE, WAITS, dials_of, epoch_of

RESTART_SECONDS = 90.0


async def restart_server(stack: Stack) -> None:
    stack.server.kill()
    await asyncio.to_thread(stack.start_server)


async def test_a_server_that_is_killed_right_after_it_has_taken_a_call_carries_it(
    stack: Stack, caller: Caller
) -> None:
    agent = await caller.agent(SAYS_GOODBYE)
    placed = await caller.place(agent, scenario="answers")
    await restart_server(stack)
    call = await caller.ended(placed, RESTART_SECONDS)
    assert end_of(call) == ("completed", "agent_hangup")
    assert await dials_of(stack, placed) == 1


async def test_a_server_that_is_killed_before_the_intent_is_asked_again(
    stack: Stack, caller: Caller
) -> None:
    agent = await caller.agent(SAYS_GOODBYE)
    held = stack.server_gate.hold("dial-intent", "request")
    placed = await caller.place(agent, scenario="answers")
    await held.reached()
    await restart_server(stack)
    held.release()
    call = await caller.ended(placed, RESTART_SECONDS)
    assert end_of(call) == ("completed", "agent_hangup")
    assert await dials_of(stack, placed) == 1


async def test_an_answer_to_the_intent_that_is_lost_after_the_commit_is_asked_for_again(
    stack: Stack, caller: Caller
) -> None:
    """The server is killed between its commit and the agent's send: the same agent sends, once."""
    agent = await caller.agent(SAYS_GOODBYE)
    held = stack.server_gate.hold("dial-intent", "answer")
    placed = await caller.place(agent, scenario="answers")
    await held.reached()
    await restart_server(stack)
    held.drop()
    call = await caller.ended(placed, RESTART_SECONDS)
    assert end_of(call) == ("completed", "agent_hangup")
    assert await dials_of(stack, placed) == 1
    assert await epoch_of(stack, placed) == 1


async def test_a_server_that_is_killed_while_it_rings_finds_its_calls_again(
    stack: Stack, caller: Caller
) -> None:
    """And one that is in mid-call."""
    agent = await caller.agent(SAYS_GOODBYE)
    rings = await caller.place(agent, script=RINGS_LONG)
    talks = await caller.place(agent, script=WAITS)
    await caller.has_turns(talks, 2)
    await caller.reaches(rings, "ringing")
    await restart_server(stack)
    calls = await caller.all_ended([rings, talks], RESTART_SECONDS)
    assert [end_of(call) for call in calls] == [("completed", "agent_hangup")] * 2
    assert [await epoch_of(stack, each) for each in (rings, talks)] == [1, 1]


async def test_a_livekit_server_that_is_killed_in_mid_call_ends_the_call_as_media_lost(
    stack: Stack, caller: Caller
) -> None:
    agent = await caller.agent(SAYS_GOODBYE)
    placed = await caller.place(agent, script=PATIENT)
    await caller.has_turns(placed)
    stack.livekit.child.kill()
    call = await caller.ended(placed, RESTART_SECONDS)
    assert end_of(call) == ("failed", "media_lost")
    assert call.cost is None or call.cost.amount_micros == 0
    await asyncio.to_thread(stack.start_livekit)
    await stack.wait_for_workers()
    again = await caller.ended(await caller.place(agent, scenario="answers"))
    assert end_of(again) == ("completed", "agent_hangup"), "workers come back by themselves"


async def test_a_redis_that_is_killed_in_mid_call_does_not_end_it(
    stack: Stack, caller: Caller
) -> None:
    agent = await caller.agent(SAYS_GOODBYE)
    placed = await caller.place(agent, script=WAITS)
    await caller.has_turns(placed)
    stack.redis.child.kill()
    await asyncio.to_thread(stack.redis.start)
    call = await caller.ended(placed, RESTART_SECONDS)
    assert end_of(call)[0] in ("completed", "failed")
    again = await caller.ended(await caller.place(agent, scenario="answers"), RESTART_SECONDS)
    assert end_of(again) == ("completed", "agent_hangup")


async def test_a_phone_network_that_is_killed_in_mid_call_ends_the_call_as_media_lost(
    stack: Stack, caller: Caller
) -> None:
    agent = await caller.agent(SAYS_GOODBYE)
    placed = await caller.place(agent, script=PATIENT)
    await caller.has_turns(placed)
    stack.phone_network.kill()
    call = await caller.ended(placed, RESTART_SECONDS)
    assert end_of(call) == ("failed", "media_lost")
    assert call.cost is None or call.cost.amount_micros == 0


async def test_a_sip_service_without_cpu_is_asked_again_until_it_dials(
    stack: Stack, caller: Caller
) -> None:
    """Nothing was sent: the call goes back into the queue."""
    agent = await caller.agent(SAYS_GOODBYE)
    number = "+12025550118"
    await stack.behave(next="cpu_exhausted", number=number)
    placed = await caller.place(agent, to_number=number, scenario="answers")
    call = await caller.ended(placed, RESTART_SECONDS)
    assert end_of(call) == ("completed", "agent_hangup")
    (sent,) = [dial for dial in await stack.dials() if dial["room"] == placed and dial["is_dialed"]]
    assert sent["answered_at"]


async def test_a_sip_service_that_dials_and_never_answers_the_request_rings_once(
    stack: Stack, caller: Caller
) -> None:
    """The request is swallowed, the answer is late, an error comes after the dial: the participant is the truth."""
    agent = await caller.agent(SAYS_GOODBYE, limits={"ring_timeout_seconds": 5})
    placed = {}
    for index, behaviour in enumerate(("swallow", "answer_late", "error_after_dialing")):
        number = f"+1202555015{index}"  # nobody else calls it
        await stack.behave(next=behaviour, number=number)
        placed[behaviour] = await caller.place(agent, to_number=number, script=WAITS)
    calls = await caller.all_ended(list(placed.values()), RESTART_SECONDS)
    for each in placed.values():
        assert await dials_of(stack, each) == 1
    ends = dict(zip(placed, map(end_of, calls), strict=True))
    assert ends["answer_late"] == ("completed", "agent_hangup")
    assert set(ends.values()) <= {("completed", "agent_hangup"), ("failed", "outcome_unknown")}


async def test_a_leg_that_outlives_its_room_is_hung_up(stack: Stack, caller: Caller) -> None:
    agent = await caller.agent(SAYS_GOODBYE)
    number = "+12025550118"
    await stack.behave(next="leg_outlives_room", number=number)
    placed = await caller.place(agent, to_number=number, scenario="answers")
    call = await caller.ended(placed)
    assert end_of(call) == ("completed", "agent_hangup")

    async def is_back() -> bool:
        return placed in await stack.livekit.rooms()

    async def is_closed() -> bool:
        return placed not in await stack.livekit.rooms()

    await until(is_back, 10, "the leg has come back")
    await until(is_closed, 60, "the room that no conversation owns is closed")


async def test_a_leg_that_is_lost_ends_the_call(stack: Stack, caller: Caller) -> None:
    """Who leaves without a goodbye looks like one who has hung up; nobody waits for him."""
    agent = await caller.agent(SAYS_GOODBYE)
    number = "+12025550118"
    await stack.behave(next="leg_lost", number=number)
    placed = await caller.place(agent, to_number=number, script=PATIENT)
    call = await caller.ended(placed, 20)
    assert end_of(call) in (("failed", "media_lost"), ("completed", "remote_hangup"))
