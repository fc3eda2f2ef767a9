"""Agent versions over the API: every save is one, they can be read, compared and restored, and calls keep theirs."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from litestar import Litestar
from tests.server.conftest import Home, client_for
from tests.server.support.calls_public import answer_call, make_desk

from bolti_server.contract import structs
from bolti_server.world import World

AGENTS = "/workspaces/current/agents"
SIMULATED = {
    "stt": {"provider": "simulated"},
    "llm": {"provider": "simulated"},
    "tts": {"provider": "simulated"},
}


async def make(client: httpx2.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await client.post(AGENTS, json={"name": "Desk", **SIMULATED, **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def change(client: httpx2.AsyncClient, agent_id: str, **fields: Any) -> dict[str, Any]:
    answer = await client.patch(f"{AGENTS}/{agent_id}", json=fields)
    assert answer.status_code == 200, answer.text
    changed: dict[str, Any] = answer.json()
    return changed


async def read(client: httpx2.AsyncClient, path: str) -> dict[str, Any]:
    answer = await client.get(f"{AGENTS}/{path}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def configuration_of(agent: dict[str, Any]) -> dict[str, Any]:
    return {name: agent[name] for name in structs.AgentConfiguration.__struct_fields__}


async def make_tool(client: httpx2.AsyncClient, name: str) -> str:
    body = {"name": name, "description": "Looks.", "url": "https://example.com/x"}
    tool_id: str = (await client.post("/workspaces/current/tools", json=body)).json()["id"]
    return tool_id


async def test_versions_are_listed_newest_first_in_pages(client: httpx2.AsyncClient) -> None:
    agent = await make(client, first_message="One.")
    for number in ("Two.", "Three."):
        await change(client, agent["id"], first_message=number)
    first = await read(client, f"{agent['id']}/versions?limit=2")
    second = await read(client, f"{agent['id']}/versions?limit=2&after={first['next']}")
    shown = [*first["data"], *second["data"]]
    assert [each["version"] for each in shown] == [3, 2, 1]
    assert [each["is_current"] for each in shown] == [True, False, False]
    assert [each["configuration"]["first_message"] for each in shown] == ["Three.", "Two.", "One."]
    assert second["next"] is None
    odd = await client.get(f"{AGENTS}/{agent['id']}/versions?after={agent['id']}")
    assert odd.status_code == 400


async def test_a_version_is_what_the_agent_was(client: httpx2.AsyncClient) -> None:
    agent = await make(client, system_prompt="Talk with {{ name }}.")
    await change(client, agent["id"], system_prompt="Be brief.")
    version = await read(client, f"{agent['id']}/versions/1")
    assert version["configuration"] == configuration_of(agent)
    assert (version["agent_id"], version["required_variables"]) == (agent["id"], ["name"])
    assert version["restored_from"] is None


async def test_comparing_names_every_field_that_is_not_the_same(
    client: httpx2.AsyncClient,
) -> None:
    agent = await make(client, goal="Book.")
    await change(
        client,
        agent["id"],
        goal=None,
        llm={"provider": "simulated", "temperature": 0.4, "default_reply": "Yes."},
        limits={**agent["limits"], "max_duration_seconds": 60},
        built_in_tools=[],
    )
    await change(client, agent["id"], is_active=False)
    found = await read(client, f"{agent['id']}/versions/2/changes")
    assert (found["from_version"], found["to_version"]) == (1, 2)
    assert {each["path"]: (each["old"], each["new"]) for each in found["changes"]} == {
        "/goal": ("Book.", None),
        "/llm/temperature": (None, 0.4),
        "/llm/default_reply": (None, "Yes."),
        "/limits/max_duration_seconds": (600, 60),
        "/built_in_tools": (["cut_call"], []),
    }
    back = await read(client, f"{agent['id']}/versions/1/changes?since=3")
    assert (back["from_version"], back["to_version"]) == (3, 1)
    assert {"path": "/is_active", "old": False, "new": True} in back["changes"]
    assert (await read(client, f"{agent['id']}/versions/1/changes"))["changes"] == []


async def test_comparing_with_a_version_that_is_none_says_so(client: httpx2.AsyncClient) -> None:
    agent = await make(client)
    answer = await client.get(f"{AGENTS}/{agent['id']}/versions/1/changes?since=7")
    assert answer.status_code == 400
    assert [each["pointer"] for each in answer.json()["errors"]] == ["query:since"]


async def test_restoring_makes_a_new_version_that_is_equal_to_the_old(
    client: httpx2.AsyncClient, home: Home
) -> None:
    agent = await make(client, first_message="One.", goal="Book.")
    await change(client, agent["id"], name="Other", first_message="Two.", is_active=False)
    answer = await client.post(f"{AGENTS}/{agent['id']}/versions/1/restore")
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/workspaces/{home.workspace_id}/agents/{agent['id']}"
    assert answer.headers["etag"] == '"3"'
    restored = answer.json()
    assert restored["version"] == 3
    assert configuration_of(restored) == configuration_of(agent)
    assert await read(client, agent["id"]) == restored
    changes = await read(client, f"{agent['id']}/versions/3/changes?since=1")
    assert changes["changes"] == []
    assert (await read(client, f"{agent['id']}/versions/3"))["restored_from"] == 1
    assert (await read(client, f"{agent['id']}/versions/2"))["configuration"]["name"] == "Other"


async def test_a_tool_that_was_deleted_since_does_not_come_back(client: httpx2.AsyncClient) -> None:
    kept, gone = await make_tool(client, "kept"), await make_tool(client, "gone")
    agent = await make(client, tool_ids=[kept, gone])
    await change(client, agent["id"], tool_ids=[])
    assert (await client.delete(f"/workspaces/current/tools/{gone}")).status_code == 204
    answer = await client.post(f"{AGENTS}/{agent['id']}/versions/1/restore")
    assert answer.json()["tool_ids"] == [kept]
    version = await read(client, f"{agent['id']}/versions/1")
    assert version["configuration"]["tool_ids"] == [kept, gone], "what was frozen stays"


async def test_what_can_not_hold_a_call_any_more_is_not_restored(
    client: httpx2.AsyncClient, world: World
) -> None:
    agent = await make(client)
    await change(client, agent["id"], goal="Later.")
    async with world.db.transaction() as tx:  # as after an upgrade that dropped a provider
        await tx.execute(
            """update agent_versions set configuration = jsonb_set(configuration, '{stt,provider}', '"gone"')
               where agent_id = $1 and version = 1""",
            agent["id"],
        )
    answer = await client.post(f"{AGENTS}/{agent['id']}/versions/1/restore")
    assert answer.status_code == 400, answer.text
    assert "/stt/provider" in [each["pointer"] for each in answer.json()["errors"]]
    assert (await read(client, agent["id"]))["version"] == 2


async def test_a_call_keeps_the_version_it_began_with(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    desk = await make_desk(world, client, home.workspace_id, **SIMULATED, goal="Book.")
    conversation_id = await desk.placed()
    await answer_call(world, conversation_id)
    await desk.change_agent(name="Other", goal="Sell.")
    assert (await client.post(f"{desk.agent_path}/versions/1/restore")).status_code == 201
    agent = (await desk.conversation(conversation_id))["agent"]
    assert (agent["version"], agent["name"]) == (1, "Front desk")
    pinned = await read(client, f"{desk.agent_id}/versions/{agent['version']}")
    assert pinned["configuration"]["goal"] == "Book."
    later = await desk.conversation(await desk.placed("+12025550107"))
    assert later["agent"]["version"] == 3


@pytest.mark.parametrize("path", ["versions", "versions/1", "versions/1/changes"])
async def test_of_a_deleted_or_foreign_agent_there_are_no_versions(
    client: httpx2.AsyncClient, app: Litestar, other_home: Home, path: str
) -> None:
    agent = await make(client)
    async with client_for(app, other_home.api_key) as other:
        assert (await other.get(f"{AGENTS}/{agent['id']}/{path}")).status_code == 404
        foreign = await other.post(f"{AGENTS}/{agent['id']}/versions/1/restore")
        assert foreign.status_code == 404
    await client.delete(f"{AGENTS}/{agent['id']}")
    assert (await client.get(f"{AGENTS}/{agent['id']}/{path}")).status_code == 404
    assert (await client.post(f"{AGENTS}/{agent['id']}/versions/1/restore")).status_code == 404


@pytest.mark.parametrize("version", ["0", "01", "-1", "x", "2", "999999999", "9999999999"])
async def test_a_version_that_is_none_is_404(client: httpx2.AsyncClient, version: str) -> None:
    agent = await make(client)
    answer = await client.get(f"{AGENTS}/{agent['id']}/versions/{version}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
