"""Calling somebody into a call: permitted to the agent that has the call, for a warm transfer that passed the gate."""

from __future__ import annotations

import httpx2
import pytest
from tests.server.support.calls_public import Desk
from tests.server.support.worker_side import Leased, ScriptedWorker

from bolti_server.world import World

TARGETS = [
    {"name": "billing", "phone_number": "+12025550105", "mode": "cold"},
    {"name": "a doctor", "phone_number": "+12025550104", "mode": "warm"},
]


async def talking(desk: Desk, worker: ScriptedWorker) -> Leased:
    await desk.change_agent(built_in_tools=["transfer_call"], transfer_targets=TARGETS)
    await desk.placed()
    call = await worker.claim()
    await call.reach("in_progress")
    return call


async def asked(call: Leased, target: str = "a doctor", tool_call_id: str = "t1") -> str:
    answer = (await call.tool(tool_call_id, "transfer_call", target=target)).json()
    assert not answer["is_error"], answer
    return tool_call_id


def refused(answer: httpx2.Response) -> str:
    assert (answer.status_code, answer.json()["code"]) == (409, "transfer_refused"), answer.text
    detail: str = answer.json()["detail"]
    return detail


async def test_a_permitted_transfer_is_told_by_what_to_call_and_again_when_asked_again(
    desk: Desk, worker: ScriptedWorker
) -> None:
    call = await talking(desk, worker)
    tool_call_id = await asked(call)
    for _ in range(2):
        answer = await call.transfer_intent(tool_call_id)
        assert answer.status_code == 200
        record = await desk.conversation(call.conversation_id)
        # A line in the worker needs no trunk.
        assert answer.json() == {"trunk": None, "from_number": record["from_number"]}


async def test_nobody_is_called_without_a_permission_of_that_kind(
    desk: Desk, worker: ScriptedWorker
) -> None:
    call = await talking(desk, worker)
    assert "permitted" in refused(await call.transfer_intent("t0"))
    cold = await asked(call, "billing", "t1")
    assert "cold" in refused(await call.transfer_intent(cold))
    answer = (await call.tool("t2", "transfer_call", target="nobody")).json()
    assert answer["is_error"]
    assert "permitted" in refused(await call.transfer_intent("t2"))


@pytest.mark.parametrize("end", ["remote_hangup", "agent_lost"])
async def test_nobody_is_called_into_a_call_that_is_over(
    desk: Desk, worker: ScriptedWorker, end: str
) -> None:
    call = await talking(desk, worker)
    tool_call_id = await asked(call)
    await call.ended(end)
    assert "on the line" in refused(await call.transfer_intent(tool_call_id))


async def test_an_agent_that_was_replaced_calls_nobody(
    desk: Desk, worker: ScriptedWorker, world: World
) -> None:
    call = await talking(desk, worker)
    tool_call_id = await asked(call)
    async with world.db.transaction() as tx:
        await tx.execute("update conversations set epoch = epoch + 1, last_report = 0")
    assert (await call.transfer_intent(tool_call_id)).status_code == 409


async def test_another_tool_s_answer_is_no_permission(
    desk: Desk, worker: ScriptedWorker, world: World
) -> None:
    call = await talking(desk, worker)
    tool_call_id = await asked(call)
    async with world.db.transaction() as tx:
        await tx.execute("update tool_calls set name = 'somebody_elses'")
    assert "permitted" in refused(await call.transfer_intent(tool_call_id))
