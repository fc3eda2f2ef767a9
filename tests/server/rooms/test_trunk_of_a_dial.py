"""By which trunk a call in a room is dialed: told to the one who dials, when it dials, and to nobody else."""

from __future__ import annotations

from tests.server.rooms.conftest import Rooms
from tests.server.support.worker_side import Leased, hold_of

from bolti_server.calls import dispatching
from bolti_server.world import World

REAL_FROM, REAL_TO = "+918041234567", "+919812345678"
PASSWORD = "s3cret-of-the-test"
DOCTOR = {"name": "a doctor", "phone_number": "+919812345679", "mode": "warm"}


async def real_call(rooms: Rooms) -> tuple[str, Leased]:
    """A call by a trunk of the workspace's own, with its agent ready; and the id of the trunk."""
    client, desk = rooms.desk.client, rooms.desk
    outbound = {"host": "sip.example.com", "username": "clinic", "password": PASSWORD}
    answer = await client.post(
        "/workspaces/current/trunks", json={"name": "Clinic", "outbound": outbound}
    )
    trunk_id = answer.json()["id"]
    answer = await client.post(
        f"/workspaces/current/trunks/{trunk_id}/numbers", json={"phone_number": REAL_FROM}
    )
    assert answer.status_code == 201, answer.text
    answer = await client.post(
        f"{desk.agent_path}/phone-numbers",
        json={"number_id": answer.json()["id"], "direction": "outbound"},
    )
    assert answer.status_code == 201, answer.text
    binding = answer.json()["id"]
    placed = await desk.call(REAL_TO, agent_phone_number_id=binding)
    assert placed.status_code == 201, placed.text
    assert placed.json()["simulated"] is False
    assert await dispatching.dispatch_agents(rooms.world) == 1
    agent = rooms.sent()
    await agent.report("agent_ready")
    return trunk_id, agent


async def answered(rooms: Rooms) -> tuple[str, Leased]:
    """The same, talking, with somebody whom it can be handed over to."""
    await rooms.desk.change_agent(built_in_tools=["transfer_call"], transfer_targets=[DOCTOR])
    trunk_id, agent = await real_call(rooms)
    await agent.intent()
    await agent.report("answered")
    return trunk_id, agent


async def test_whoever_is_called_into_a_call_is_called_by_its_number_and_trunk(
    rooms: Rooms,
) -> None:
    _, agent = await answered(rooms)
    tool = await agent.tool("t1", "transfer_call", target="a doctor")
    assert tool.json()["result"] == {"to_number": DOCTOR["phone_number"], "mode": "warm"}
    permit = (await agent.transfer_intent("t1")).json()
    assert permit["from_number"] == REAL_FROM
    assert (permit["trunk"]["host"], permit["trunk"]["password"]) == ("sip.example.com", PASSWORD)
    stored = await rooms.world.db.fetchval("select result::text from tool_calls")
    assert PASSWORD not in stored


async def test_nobody_is_called_into_a_call_whose_trunk_can_not_call_out(
    rooms: Rooms, world: World
) -> None:
    """As that of a number that is only called."""
    trunk_id, agent = await answered(rooms)
    await agent.tool("t1", "transfer_call", target="a doctor")
    async with world.db.transaction() as tx:
        await tx.execute("update trunks set can_outbound = false where id = $1", trunk_id)

    assert (await agent.transfer_intent("t1")).status_code == 409
    tool = (await agent.tool("t2", "transfer_call", target="a doctor")).json()
    assert tool["is_error"]
    assert tool["result"]["error"] == "The number's trunk was deleted, or can't call out."
    record = await rooms.desk.conversation(agent.conversation_id)
    assert record["status"] == "in_progress", "the call goes on"


async def test_nobody_is_called_by_a_trunk_whose_password_can_not_be_read(
    rooms: Rooms, world: World
) -> None:
    _, agent = await answered(rooms)
    await agent.tool("t1", "transfer_call", target="a doctor")
    async with world.db.transaction() as tx:
        await tx.execute("update trunks set outbound_password_sealed = '\\x01' where kind = 'byot'")
    permit = await agent.transfer_intent("t1")
    assert permit.status_code == 409
    assert PASSWORD not in permit.text


async def test_a_simulated_call_in_a_room_is_dialed_by_the_simulated_trunk(rooms: Rooms) -> None:
    agent = await rooms.dispatched()
    await agent.report("agent_ready")
    trunk = (await agent.intent()).json()["trunk"]
    assert (trunk["host"], trunk["transport"], trunk["password"]) == ("simulated", "udp", None)


async def test_the_digest_of_a_trunk_is_told_with_the_permission_to_dial_and_stands_in_no_spec(
    rooms: Rooms,
) -> None:
    _, agent = await real_call(rooms)
    spec = await agent.spec()
    assert spec.json()["line"]["is_simulated"] is False
    assert PASSWORD not in spec.text
    assert PASSWORD not in str(rooms.media.sent)
    for _ in range(2):  # an answer that was lost is given again
        trunk = (await agent.intent()).json()["trunk"]
        assert (trunk["host"], trunk["username"], trunk["password"]) == (
            "sip.example.com",
            "clinic",
            PASSWORD,
        )


async def test_nobody_dials_by_a_trunk_that_can_not_call_out_any_more(
    rooms: Rooms, world: World
) -> None:
    trunk_id, agent = await real_call(rooms)
    async with world.db.transaction() as tx:
        await tx.execute("update trunks set can_outbound = false where id = $1", trunk_id)
    assert (await agent.intent()).status_code == 409
    record = await rooms.desk.conversation(agent.conversation_id)
    assert (record["status"], record["hangup"]["code"]) == ("failed", "trunk_misconfigured")
    assert await hold_of(world, agent.conversation_id) == "released"


async def test_nobody_dials_by_a_trunk_whose_password_can_not_be_read_any_more(
    rooms: Rooms, world: World
) -> None:
    _, agent = await real_call(rooms)
    async with world.db.transaction() as tx:
        await tx.execute("update trunks set outbound_password_sealed = '\\x01' where kind = 'byot'")
    assert (await agent.intent()).status_code == 409
    record = await rooms.desk.conversation(agent.conversation_id)
    assert record["hangup"]["code"] == "trunk_misconfigured"
    assert PASSWORD not in record["hangup"]["detail"]
