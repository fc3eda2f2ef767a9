"""A scenario in a request: checked at the edge, handed to the worker, and judged when the conversation is read."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from tests.server.conftest import Home
from tests.server.support.calls_public import Desk, make_desk, traces
from tests.server.support.worker_side import Leased, ScriptedWorker

from bolti_server.base.clock import rfc3339
from bolti_server.simulated.scenarios.scenario import LONGEST_SCRIPT
from bolti_server.world import World

SCRIPT = """\
name: Greeting
callee:
  - answer
  - wait_for_agent
expect:
  - agent_says: {contains: hello}
  - agent_does_not_say: {contains: Ravi}
  - ends_with: remote_hangup
  - turn_latency_under_ms: 500
"""


@pytest.fixture
async def desk(world: World, client: httpx2.AsyncClient, home: Home) -> Desk:
    return await make_desk(world, client, home.workspace_id)


@pytest.fixture
def worker(anonymous: httpx2.AsyncClient) -> ScriptedWorker:
    return ScriptedWorker(anonymous)


async def claimed(desk: Desk, worker: ScriptedWorker, script: str) -> Leased:
    """A placed call, claimed."""
    await desk.placed(simulation={"script": script})
    return await worker.claim()


async def simulation(desk: Desk, leased: Leased) -> dict[str, Any]:
    found: dict[str, Any] = (await desk.conversation(leased.conversation_id))["simulation"]
    return found


async def test_the_script_reaches_the_worker_as_it_was_given(
    desk: Desk, worker: ScriptedWorker
) -> None:
    leased = await claimed(desk, worker, SCRIPT)
    line = (await leased.spec()).json()["line"]
    assert (line["script"], line["scenario"]) == (SCRIPT, None)


async def test_a_call_is_judged_when_it_is_over(desk: Desk, worker: ScriptedWorker) -> None:
    leased = await claimed(desk, worker, SCRIPT)
    before = await simulation(desk, leased)
    assert (before["name"], before["script"], before["verdict"]) == ("Greeting", SCRIPT, None)
    assert [each["is_met"] for each in before["expectations"]] == [None] * 4
    await leased.reach("in_progress")
    await leased.turn(0, text="Hello, this is Bright Dental.")
    await leased.ended("remote_hangup")
    after = await simulation(desk, leased)
    assert after["verdict"] == "passed"
    assert [each["is_met"] for each in after["expectations"]] == [True, True, True, None]
    assert after["expectations"][0] == {
        "kind": "agent_says",
        "line": 6,
        "expected": 'The agent says something with "hello".',
        "is_met": True,
        "detail": None,
    }


async def test_a_failed_expectation_says_what_there_was(desk: Desk, worker: ScriptedWorker) -> None:
    leased = await claimed(desk, worker, SCRIPT)
    await leased.reach("in_progress")
    await leased.turn(0, text="Good morning, Ravi.")
    await leased.ended("agent_hangup")
    found = await simulation(desk, leased)
    assert found["verdict"] == "failed"
    assert [(each["is_met"], each["detail"]) for each in found["expectations"]] == [
        (False, 'It said: "Good morning, Ravi."'),
        (False, 'It said: "Good morning, Ravi."'),
        (False, "It ended with agent_hangup."),
        (None, "No turn of the agent was measured."),
    ]


async def test_a_call_that_was_never_dialed_is_judged_too(
    desk: Desk, worker: ScriptedWorker
) -> None:
    script = "name: x\ncallee: [busy]\nexpect: [{ends_with: cancelled_by_user}, {total_under_seconds: 5}]"
    leased = await claimed(desk, worker, script)
    path = f"/workspaces/current/conversations/{leased.conversation_id}/end"
    assert (await desk.client.post(path, json={})).status_code == 202
    found = await simulation(desk, leased)
    assert found["verdict"] == "passed"
    assert [each["is_met"] for each in found["expectations"]] == [True, None]


async def test_a_script_without_expectations_has_no_verdict(
    desk: Desk, worker: ScriptedWorker
) -> None:
    leased = await claimed(desk, worker, "name: x\ncallee: [busy]\n")
    await leased.reach("dialing")
    await leased.ended("busy")
    found = await simulation(desk, leased)
    assert (found["name"], found["verdict"], found["expectations"]) == ("x", None, [])


async def test_a_call_without_a_script_has_no_verdict(desk: Desk) -> None:
    bodies: list[dict[str, Any]] = [{}, {"simulation": {"script": None, "scenario": "busy"}}]
    for body in bodies:
        conversation_id = await desk.placed(**body, allow_concurrent_to_callee=True)
        assert (await desk.conversation(conversation_id))["simulation"] is None


async def test_everything_that_is_wrong_with_a_script_is_told_with_its_place(
    desk: Desk, world: World
) -> None:
    before = await traces(world)
    script = "name: x\ncallee:\n  - answr\n  - say: {}\nexpect:\n  - ends_with: hangup\n"
    answer = await desk.call("12", simulation={"script": script})
    assert answer.status_code == 400
    problem = answer.json()
    assert {"invalid_scenario", "invalid_phone_number"} <= {
        each["code"] for each in problem["errors"]
    }
    told = [each for each in problem["errors"] if each["code"] == "invalid_scenario"]
    assert told == [
        {
            "pointer": "/simulation/script",
            "detail": "line 3, column 5: A callee has no step 'answr'. Did you mean answer?",
            "code": "invalid_scenario",
        },
        {
            "pointer": "/simulation/script",
            "detail": "line 4, column 10: say is a text. This is a mapping (name: value).",
            "code": "invalid_scenario",
        },
        {
            "pointer": "/simulation/script",
            "detail": "line 6, column 16: There is no hangup code 'hangup'. Did you mean agent_hangup?",
            "code": "invalid_scenario",
        },
    ]
    assert await traces(world) == before


async def test_a_broken_script_alone_is_a_failed_validation(desk: Desk) -> None:
    answer = await desk.call(simulation={"script": "name: x"})
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (400, "validation_failed")
    assert "line 1, column 1: A scenario needs callee." in problem["detail"]


@pytest.mark.parametrize(
    "simulation",
    [
        {"script": ""},
        {"script": "#" * (LONGEST_SCRIPT + 1)},
        {"script": 3},
        {"script": "name: \x00"},
        {"script": "name: x\ncallee: [answer]", "scenario": "busy"},
    ],
)
async def test_what_can_not_be_a_script_is_refused(
    desk: Desk, world: World, simulation: dict[str, Any]
) -> None:
    before = await traces(world)
    answer = await desk.call(simulation=simulation)
    assert answer.status_code == 400
    assert {each["pointer"].split("/")[1] for each in answer.json()["errors"]} == {"simulation"}
    assert await traces(world) == before


async def test_a_scheduled_call_keeps_its_script(desk: Desk, world: World) -> None:
    tomorrow = rfc3339(await world.db.fetchval("select bolti_now() + interval '1 day'"))
    conversation_id = await desk.placed(scheduled_at=tomorrow, simulation={"script": SCRIPT})
    assert (await desk.conversation(conversation_id))["simulation"]["script"] == SCRIPT
