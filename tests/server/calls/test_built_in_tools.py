"""The built-in tools that the server does: callbacks, and whom a call may be handed to. And people who want no calls."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.server.conftest import MoveTime
from tests.server.support.calls_public import Desk, faults, instant_in
from tests.server.support.worker_side import Leased, ScriptedWorker, turn

from bolti_server.calls import opting_out, scheduling
from bolti_server.world import World

KOLKATA = ZoneInfo("Asia/Kolkata")
TOOLS = ["cut_call", "schedule_callback", "transfer_call", "send_dtmf"]
TARGETS = [
    {"name": "billing", "phone_number": "+12025550105"},
    {"name": "a friend", "phone_number": "+919876543210"},
    {"name": "the caller", "phone_number": "+12025550100"},
    {"name": "a doctor", "phone_number": "+12025550104", "mode": "warm"},
]
COLD = {"to_number": "+12025550105", "mode": "cold"}


async def talking(desk: Desk, worker: ScriptedWorker, to_number: str = "+12025550100") -> Leased:
    """A call of an agent with all tools, in Kolkata, that has been answered."""
    await desk.change_agent(
        built_in_tools=TOOLS,
        transfer_targets=TARGETS,
        timezone="Asia/Kolkata",
        first_message="Hello {{ name }}.",
    )
    await desk.placed(to_number, variable_values={"name": "Ravi"})
    call = await worker.claim()
    await call.reach("in_progress")
    return call


async def result_of(call: Leased, name: str, **arguments: Any) -> dict[str, Any]:
    answer = (await call.tool("t1", name, **arguments)).json()
    assert answer["is_error"] is False, answer
    found: dict[str, Any] = answer["result"]
    return found


async def words_of(call: Leased, name: str, **arguments: Any) -> str:
    answer = (await call.tool("t1", name, **arguments)).json()
    assert answer["is_error"] is True, answer
    found: str = answer["result"]["error"]
    return found


async def test_an_agent_has_the_tools_that_it_can_use(desk: Desk, worker: ScriptedWorker) -> None:
    call = await talking(desk, worker)
    tools = {tool["name"]: tool for tool in (await call.spec()).json()["tools"]}
    assert list(tools) == ["cut_call", "schedule_callback", "transfer_call", "send_dtmf"]
    target = tools["transfer_call"]["parameters"]["properties"]["target"]
    assert target["enum"] == ["billing", "a friend", "the caller", "a doctor"]
    assert "+1202" not in str(tools), "a model sees no numbers"
    introduction = tools["transfer_call"]["parameters"]["properties"]["introduction"]
    assert "a doctor" in introduction["description"], "for whom there is one to make"

    await call.ended("agent_hangup")
    await desk.change_agent(transfer_targets=TARGETS[:1])
    await desk.placed(variable_values={"name": "Ravi"})
    cold = await worker.claim()
    (tool,) = [
        tool for tool in (await cold.spec()).json()["tools"] if tool["name"] == "transfer_call"
    ]
    assert "introduction" not in tool["parameters"]["properties"]
    await cold.ended("cancelled_by_user")
    await desk.change_agent(transfer_targets=[])
    await desk.placed(variable_values={"name": "Ravi"})
    spec = (await (await worker.claim()).spec()).json()
    assert "transfer_call" not in [tool["name"] for tool in spec["tools"]]


async def test_a_callback_is_a_scheduled_call_of_the_same_agent_to_the_same_person(
    desk: Desk, worker: ScriptedWorker, world: World
) -> None:
    call = await talking(desk, worker)
    now: datetime = await world.db.fetchval("select bolti_now()")
    local = (now.astimezone(KOLKATA) + timedelta(days=1)).replace(microsecond=0, second=0)
    result = await result_of(
        call, "schedule_callback", at=f"{local:%Y-%m-%dT%H:%M}", reason="The appointment."
    )

    assert f"{local:%H:%M} (Asia/Kolkata)" in result["scheduled_for"]
    assert f"{local:%A}, {local.day} {local:%B %Y}" in result["scheduled_for"]
    made = await desk.conversation(result["conversation_id"])
    assert made["status"] == "scheduled"
    assert made["to_number"] == "+12025550100"
    assert made["agent"]["id"] == desk.agent_id
    assert made["variable_values"] == {"name": "Ravi", "callback_reason": "The appointment."}
    scheduled = await world.db.fetchval(
        "select scheduled_at from conversations where id = $1", made["id"]
    )
    assert scheduled == local


async def test_a_repeated_tool_call_books_one_callback(
    desk: Desk, worker: ScriptedWorker, world: World
) -> None:
    call = await talking(desk, worker)
    at = await instant_in(world, 3600)
    first = await result_of(call, "schedule_callback", at=at)
    again = await result_of(call, "schedule_callback", at=at)
    assert again == first
    count = "select count(*) from conversations where status = 'scheduled'"
    assert await world.db.fetchval(count) == 1


async def test_a_call_books_three_callbacks_and_no_more_also_where_it_asks_at_once(
    desk: Desk, worker: ScriptedWorker, world: World
) -> None:
    call = await talking(desk, worker)
    times = [await instant_in(world, 3600 * hour) for hour in range(1, 6)]
    asked = (call.tool(f"t{n}", "schedule_callback", at=at) for n, at in enumerate(times))
    answers = [answer.json() for answer in await asyncio.gather(*asked)]
    assert sorted(each["is_error"] for each in answers) == [False] * 3 + [True] * 2
    (words, again) = (each["result"]["error"] for each in answers if each["is_error"])
    assert words == again == "This call has booked 3 callbacks, and may not book more. They stand."
    count = "select count(*) from conversations where status = 'scheduled'"
    assert await world.db.fetchval(count) == 3


async def test_a_callback_that_was_refused_does_not_count(
    desk: Desk, worker: ScriptedWorker, world: World
) -> None:
    call = await talking(desk, worker)
    for number in range(3):
        answer = await call.tool(f"no{number}", "schedule_callback", at="2020-01-01T10:00")
        assert answer.json()["is_error"]
    assert await result_of(call, "schedule_callback", at=await instant_in(world, 3600))


@pytest.mark.parametrize("at", ["2020-01-01T10:00", "tomorrow at ten", "", "2090-01-01T10:00", 7])
async def test_a_callback_at_no_time_is_refused_in_words(
    desk: Desk, worker: ScriptedWorker, world: World, at: Any
) -> None:
    call = await talking(desk, worker)
    assert await words_of(call, "schedule_callback", at=at)
    count = "select count(*) from conversations where status = 'scheduled'"
    assert await world.db.fetchval(count) == 0


async def test_a_transfer_goes_to_the_agents_targets_through_the_same_gate(
    desk: Desk, worker: ScriptedWorker
) -> None:
    call = await talking(desk, worker)
    assert await result_of(call, "transfer_call", target="billing") == COLD
    for number, (target, words) in enumerate(
        {
            "+12025550105": "no such target",
            "a friend": "only the simulated network",
            "the caller": "person you are talking to",
        }.items()
    ):
        answer = (await call.tool(f"u{number}", "transfer_call", target=target)).json()
        assert answer["is_error"], answer
        assert words in answer["result"]["error"]

    await desk.client.post("/workspaces/current/do-not-call", json={"phone_number": "+12025550105"})
    answer = (await call.tool("v1", "transfer_call", target="billing")).json()
    assert "do-not-call" in answer["result"]["error"]


async def test_a_call_is_transferred_though_its_number_was_moved_meanwhile(
    desk: Desk, worker: ScriptedWorker
) -> None:
    call = await talking(desk, worker)
    path = f"{desk.agent_path}/phone-numbers/{desk.agent_phone_number_id}"
    assert (await desk.client.delete(path)).status_code == 204
    assert await result_of(call, "transfer_call", target="billing") == COLD


async def test_an_agent_without_a_tool_can_not_use_it(desk: Desk, worker: ScriptedWorker) -> None:
    await desk.placed()
    call = await worker.claim()
    await call.reach("in_progress")
    assert "no tool" in await words_of(call, "schedule_callback", at="2030-01-01T10:00Z")


async def test_who_says_stop_is_called_no_more_by_any_way(
    desk: Desk, worker: ScriptedWorker, world: World, move_time: MoveTime
) -> None:
    number = "+12025550117"
    call = await talking(desk, worker, number)
    at = await instant_in(world, 3600)
    scheduled = await result_of(call, "schedule_callback", at=at)
    await call.turn(0, "agent", "Should we stop calling you? Please stop calling me.")
    assert (await desk.client.get("/workspaces/current/do-not-call")).json()["data"] == []
    await call.turn(1, "user", "Please stop calling me. Take me off your list.")
    await call.turn(2, "user", "Stop calling me!")

    (entry,) = (await desk.client.get("/workspaces/current/do-not-call")).json()["data"]
    assert (entry["phone_number"], entry["source"]) == (number, "voice")
    assert entry["conversation_id"] == call.conversation_id
    again = (await call.tool("t9", "schedule_callback", at=at)).json()
    assert "asked not to be called" in again["result"]["error"]
    await call.ended("remote_hangup")
    refused = await desk.call(number, variable_values={"name": "Ravi"})
    assert refused.status_code == 403
    assert refused.json()["code"] == "do_not_call"
    assert faults(refused) == {("/to_number", "do_not_call")}
    await move_time(3601)
    await scheduling.dispatch_due(world)
    ended = await desk.conversation(scheduled["conversation_id"])
    assert (ended["status"], ended["hangup"]["code"]) == ("failed", "do_not_call")

    path = f"/workspaces/current/do-not-call/{entry['id']}"
    assert (await desk.client.delete(path)).status_code == 204
    assert (await desk.client.delete(path)).status_code == 404
    await desk.placed(number, variable_values={"name": "Ravi"})


async def test_a_key_that_is_pressed_for_whoever_was_called_in_is_no_opt_out(
    desk: Desk, worker: ScriptedWorker
) -> None:
    await desk.change_agent(opt_out_key="9")
    await desk.placed()
    call = await worker.claim()
    await call.reach("in_progress")
    done = {"name": "transfer_call", "arguments": {}, "result": {"mode": "warm"}}
    await call.report("tool_call", tool_call=done)
    await call.report("turn", turn=turn(0, "user", "", dtmf="9"))
    assert (await desk.client.get("/workspaces/current/do-not-call")).json()["data"] == []
    await call.ended("transferred")


async def test_who_presses_the_agents_key_for_it_is_called_no_more(
    desk: Desk, worker: ScriptedWorker
) -> None:
    await desk.change_agent(opt_out_key="9")
    conversation_id = await desk.placed("+12025550117")
    call = await worker.claim()
    assert (await call.spec()).json()["opt_out_key"] == "9"
    await call.reach("in_progress")
    await call.report("turn", turn=turn(0, "agent", "", dtmf="9"))
    await call.report("turn", turn=turn(1, "user", "", dtmf="1"))
    assert (await desk.client.get("/workspaces/current/do-not-call")).json()["data"] == []
    await call.report("turn", turn=turn(2, "user", "", dtmf="29"))
    (entry,) = (await desk.client.get("/workspaces/current/do-not-call")).json()["data"]
    assert (entry["phone_number"], entry["source"]) == ("+12025550117", "key")
    assert entry["conversation_id"] == conversation_id
    await call.ended("agent_hangup")
    refused = await desk.call("+12025550117")
    assert refused.status_code == 403
    assert "asked not to be called" in refused.json()["detail"]


async def test_an_agent_without_such_a_key_puts_nobody_on_the_list(
    desk: Desk, worker: ScriptedWorker
) -> None:
    await desk.placed()
    call = await worker.claim()
    await call.reach("in_progress")
    await call.report("turn", turn=turn(0, "user", "", dtmf="9"))
    assert (await desk.client.get("/workspaces/current/do-not-call")).json()["data"] == []


async def test_a_number_is_put_on_the_list_once_and_pages_go_from_new_to_old(desk: Desk) -> None:
    path = "/workspaces/current/do-not-call"
    first = await desk.client.post(path, json={"phone_number": "+12025550120"})
    again = await desk.client.post(path, json={"phone_number": "+12025550120"})
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    await desk.client.post(path, json={"phone_number": "+12025550121"})
    page = (await desk.client.get(path, params={"limit": 1})).json()
    assert [each["phone_number"] for each in page["data"]] == ["+12025550121"]
    rest = (await desk.client.get(path, params={"after": page["next"]})).json()
    assert [each["phone_number"] for each in rest["data"]] == ["+12025550120"]
    wrong = await desk.client.post(path, json={"phone_number": "+99912345678"})
    assert wrong.status_code == 400
    assert faults(wrong) == {("/phone_number", "invalid_phone_number")}


@pytest.mark.parametrize(
    "text",
    [
        "Please stop calling me. Take me off your list.",
        "Don't call me again, ever.",
        "Do not call this number any more!",
        "Remove my number from your database.",
        "I want no more calls from you.",
        "मुझे दोबारा कॉल मत कीजिए।",
    ],
)
def test_a_wish_for_no_calls_is_understood(text: str) -> None:
    assert opting_out.is_opt_out(text)


@pytest.mark.parametrize(
    "text",
    [
        "I am not interested.",
        "Can you call me back tomorrow?",
        "Please don't call me before ten.",
        "Stop, that is too fast. You can call me Ravi.",
        "Did they stop calling? My phone was off.",
        "Call me again at noon.",
        "Take me through the list, please.",
    ],
)
def test_another_no_is_none(text: str) -> None:
    assert not opting_out.is_opt_out(text)


async def test_a_message_that_was_left_makes_the_call_not_worth_repeating(
    desk: Desk, worker: ScriptedWorker
) -> None:
    for is_left in (True, False):
        call = await talking(desk, worker, "+12025550106")
        await call.ended("voicemail", is_message_left=is_left)
        hangup = (await desk.conversation(call.conversation_id))["hangup"]
        assert (hangup["code"], hangup["retryable"]) == ("voicemail", not is_left)
