"""Tools over the API: made, changed and deleted; their secrets never shown; what is wrong told at once."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest
from tests.server.conftest import Home, client_for

from bolti_server.agents import specs
from bolti_server.agents.reading import for_call
from bolti_server.base.ids import new_id
from bolti_server.world import World

TOOLS = "/workspaces/current/tools"
AGENTS = "/workspaces/current/agents"
SECRET = "s3cret-of-the-clinic"
GOOD = {
    "name": "check_slots",
    "description": "Lists free appointments.",
    "url": "https://example.com/slots?day={{ day }}",
    "input_schema": {"type": "object", "properties": {"day": {"type": "string"}}},
}
SIMULATED = {
    "stt": {"provider": "simulated"},
    "llm": {"provider": "simulated"},
    "tts": {"provider": "simulated"},
}


async def make(client: httpx2.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await client.post(TOOLS, json={**GOOD, **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def refused(client: httpx2.AsyncClient, status: int = 400, **fields: Any) -> dict[str, str]:
    answer = await client.post(TOOLS, json={**GOOD, **fields})
    assert answer.status_code == status, answer.text
    return {fault["pointer"]: fault["code"] for fault in answer.json()["errors"]}


async def test_a_tool_has_its_defaults_and_comes_back(
    client: httpx2.AsyncClient, home: Home
) -> None:
    answer = await client.post(TOOLS, json=GOOD)
    tool = answer.json()
    assert answer.headers["location"] == f"/workspaces/{home.workspace_id}/tools/{tool['id']}"
    assert (tool["method"], tool["timeout_ms"], tool["headers"]) == ("GET", 15000, [])
    assert (tool["body_template"], tool["response_mapping"]) == (None, None)
    assert tool["authorization"] == {"kind": "none"}
    assert {name: tool[name] for name in GOOD} == GOOD
    assert (await client.get(f"{TOOLS}/{tool['id']}")).json() == tool
    assert (await client.get(TOOLS)).json() == {"data": [tool], "next": None}


async def test_a_secret_is_sealed_for_its_row_and_never_shown(
    client: httpx2.AsyncClient, world: World
) -> None:
    given = {"kind": "basic", "username": "clinic", "password": SECRET}
    tool = await make(client, authorization=given)
    shown = [
        (await client.get(f"{TOOLS}/{tool['id']}")).text,
        (await client.get(TOOLS)).text,
        (await client.patch(f"{TOOLS}/{tool['id']}", json={"timeout_ms": 2000})).text,
    ]
    assert all(SECRET not in text and '"clinic"' not in text for text in shown)
    assert tool["authorization"] == {"kind": "basic"}
    async with world.db.transaction() as tx:
        row = await tx.fetchrow("select * from tools where id = $1", tool["id"])
    assert row is not None
    assert SECRET.encode() not in b"".join(str(value).encode() for value in row.values())
    assert row["secret_encrypted"] is not None


async def test_everything_wrong_is_listed_at_once_across_kinds(client: httpx2.AsyncClient) -> None:
    await make(client, name="taken")
    found = await refused(
        client,
        name="taken",
        url="https://u:p@example.com/{{",
        body_template="{{ x | upcase }}",
        input_schema={"type": "object", "properties": {"a": {"type": "strin"}}},
        authorization={"kind": "bearer", "password": "x"},
    )
    assert found == {
        "/url": "invalid_url",
        "/body_template": "invalid_template",
        "/input_schema/properties/a/type": "invalid_schema",
        "/authorization/token": "required",
        "/authorization/password": "unexpected",
        "/name": "name_taken",
    }


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/x", "https://[fe80::1]/", "http://0.0.0.0/", "https://h:25/"]
)
async def test_an_address_that_could_never_be_asked_is_refused_at_save(
    client: httpx2.AsyncClient, url: str
) -> None:
    assert await refused(client, url=url) == {"/url": "forbidden_address"}


async def test_a_name_is_once_in_a_workspace_and_free_again_after_deletion(
    client: httpx2.AsyncClient, app: Any, other_home: Home
) -> None:
    first = await make(client)
    assert await refused(client, 409) == {"/name": "name_taken"}
    other = await make(client, name="other")
    answer = await client.patch(f"{TOOLS}/{other['id']}", json={"name": first["name"]})
    assert (answer.status_code, answer.json()["code"]) == (409, "name_taken")
    assert (
        await client.patch(f"{TOOLS}/{first['id']}", json={"name": first["name"]})
    ).status_code == 200
    async with client_for(app, other_home.api_key) as stranger:
        await make(stranger)
    assert (await client.delete(f"{TOOLS}/{first['id']}")).status_code == 204
    await make(client)


async def test_racing_creates_of_one_name_leave_one(client: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(*(client.post(TOOLS, json=GOOD) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    assert len((await client.get(TOOLS)).json()["data"]) == 1


async def test_a_patch_leaves_what_it_does_not_name_and_null_clears(
    client: httpx2.AsyncClient,
) -> None:
    tool = await make(
        client, method="POST", body_template='{"day": "{{ day }}"}', response_mapping={"a": "/a"},
        headers=[{"name": "X-A", "value": "1"}], authorization={"kind": "bearer", "token": SECRET},
    )  # fmt: skip
    changed = (
        await client.patch(f"{TOOLS}/{tool['id']}", json={"body_template": None, "response_mapping": None})
    ).json()  # fmt: skip
    assert (changed["body_template"], changed["response_mapping"]) == (None, None)
    assert (changed["headers"], changed["method"], changed["authorization"]) == (
        tool["headers"], "POST", {"kind": "bearer"},
    )  # fmt: skip
    changed = (
        await client.patch(f"{TOOLS}/{tool['id']}", json={"authorization": {"kind": "none"}, "headers": []})
    ).json()  # fmt: skip
    assert (changed["authorization"], changed["headers"]) == ({"kind": "none"}, [])


async def test_a_kept_secret_does_not_move_to_another_host(client: httpx2.AsyncClient) -> None:
    tool = await make(client, authorization={"kind": "bearer", "token": SECRET})
    path = f"{TOOLS}/{tool['id']}"
    for url in ("https://evil.example/slots", "https://example.com:8443/", "http://example.com/"):
        answer = await client.patch(path, json={"url": url})
        assert answer.status_code == 400
        assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/authorization"]
    assert (await client.patch(path, json={"url": "https://example.com/other"})).status_code == 200
    given = {"url": "https://new.example/", "authorization": {"kind": "bearer", "token": "another"}}
    assert (await client.patch(path, json=given)).status_code == 200


async def test_a_deleted_tool_is_gone_from_its_agents(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    kept, doomed = await make(client, name="kept"), await make(client, name="doomed")
    ids = [doomed["id"], kept["id"]]
    body = {"name": "Desk", **SIMULATED, "tool_ids": ids}
    agent = (await client.post(AGENTS, json=body)).json()
    assert agent["tool_ids"] == ids
    assert (await client.delete(f"{TOOLS}/{doomed['id']}")).status_code == 204
    assert (await client.get(f"{TOOLS}/{doomed['id']}")).status_code == 404
    assert (await client.delete(f"{TOOLS}/{doomed['id']}")).status_code == 404
    assert (await client.get(f"{AGENTS}/{agent['id']}")).json()["tool_ids"] == [kept["id"]]
    async with world.db.transaction() as tx:
        current = await for_call(tx, home.workspace_id, agent["id"])
        assert current is not None
        tools = await specs.llm_tools(tx, home.workspace_id, current.configuration)
    assert [tool.name for tool in tools] == ["cut_call", "kept"]
    answer = await client.patch(f"{AGENTS}/{agent['id']}", json={"goal": "Sell."})
    assert (answer.status_code, answer.json()["tool_ids"]) == (200, [kept["id"]])
    answer = await client.patch(f"{AGENTS}/{agent['id']}", json={"tool_ids": ids})
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/tool_ids/0"]


async def test_an_agent_takes_no_tool_of_another_workspace(
    client: httpx2.AsyncClient, app: Any, other_home: Home
) -> None:
    tool = await make(client)
    async with client_for(app, other_home.api_key) as stranger:
        body = {"name": "Desk", **SIMULATED, "tool_ids": [tool["id"], new_id("tool")]}
        answer = await stranger.post(AGENTS, json=body)
        assert answer.status_code == 400
        codes = [(fault["pointer"], fault["code"]) for fault in answer.json()["errors"]]
        assert codes == [("/tool_ids/0", "not_found"), ("/tool_ids/1", "not_found")]


async def test_another_workspaces_tool_is_one_that_does_not_exist(
    client: httpx2.AsyncClient, app: Any, other_home: Home
) -> None:
    tool = await make(client)
    async with client_for(app, other_home.api_key) as stranger:
        for tool_id in (tool["id"], new_id("tool")):
            path = f"{TOOLS}/{tool_id}"
            answers = [
                await stranger.get(path),
                await stranger.patch(path, json={"timeout_ms": 2000}),
                await stranger.patch(path, json={"timeout_ms": "soon"}),
                await stranger.post(f"{path}/test", json={}),
                await stranger.post(f"{path}/test", json={"nonsense": 1}),
                await stranger.delete(path),
            ]
            assert [(a.status_code, a.json()["code"]) for a in answers] == [(404, "not_found")] * 6
    assert (await client.get(f"{TOOLS}/{tool['id']}")).json() == tool


async def test_lists_are_pages_newest_first(client: httpx2.AsyncClient) -> None:
    made = [(await make(client, name=f"tool_{n}"))["id"] for n in range(3)]
    page = (await client.get(TOOLS, params={"limit": "2"})).json()
    assert [tool["id"] for tool in page["data"]] == [made[2], made[1]]
    page = (await client.get(TOOLS, params={"limit": "2", "after": page["next"]})).json()
    assert ([tool["id"] for tool in page["data"]], page["next"]) == ([made[0]], None)
