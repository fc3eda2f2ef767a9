"""ETags of agents: what has not changed is not sent again, and two editors do not overwrite each other."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

AGENTS = "/workspaces/current/agents"
SIMULATED = {
    "stt": {"provider": "simulated"},
    "llm": {"provider": "simulated"},
    "tts": {"provider": "simulated"},
}


async def make(client: httpx2.AsyncClient, **fields: Any) -> tuple[str, str]:
    """(path of a new agent, its ETag)."""
    answer = await client.post(AGENTS, json={"name": "Desk", **SIMULATED, **fields})
    assert answer.status_code == 201, answer.text
    return f"{AGENTS}/{answer.json()['id']}", answer.headers["etag"]


async def test_what_the_caller_has_is_not_sent_again(client: httpx2.AsyncClient) -> None:
    path, etag = await make(client)
    whole = await client.get(path)
    assert whole.headers["etag"] == etag
    for has in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        answer = await client.get(path, headers={"If-None-Match": has})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == etag
        assert "ratelimit" in answer.headers
    assert (await client.get(path, headers={"If-None-Match": '"7"'})).status_code == 200


async def test_a_save_makes_another_etag(client: httpx2.AsyncClient) -> None:
    path, etag = await make(client)
    changed = await client.patch(path, json={"goal": "Book."})
    assert changed.headers["etag"] != etag
    answer = await client.get(path, headers={"If-None-Match": etag})
    assert (answer.status_code, answer.headers["etag"]) == (200, changed.headers["etag"])


async def test_the_etag_is_strong_also_where_a_tool_was_deleted(client: httpx2.AsyncClient) -> None:
    body = {"name": "look_up", "description": "Looks.", "url": "https://example.com/x"}
    tool_id = (await client.post("/workspaces/current/tools", json=body)).json()["id"]
    path, etag = await make(client, tool_ids=[tool_id])
    before = await client.get(path)
    await client.delete(f"/workspaces/current/tools/{tool_id}")
    after = await client.get(path, headers={"If-None-Match": etag})
    assert after.status_code == 200, "the answer has changed, so it is not what the caller has"
    assert after.content != before.content
    assert after.headers["etag"] != etag
    # Nobody has saved the agent since, so the editor's change is on what it is now.
    saved = await client.patch(path, json={"goal": "Book."}, headers={"If-Match": etag})
    assert saved.status_code == 200, saved.text


async def test_two_editors_do_not_overwrite_each_other(client: httpx2.AsyncClient) -> None:
    path, etag = await make(client)
    first = await client.patch(path, json={"goal": "Book."}, headers={"If-Match": etag})
    second = await client.patch(path, json={"goal": "Sell."}, headers={"If-Match": etag})
    assert (first.status_code, second.status_code) == (200, 412)
    problem = second.json()
    assert (problem["code"], problem["current_version"]) == ("precondition_failed", 2)
    assert second.headers["etag"] == first.headers["etag"]
    assert (await client.get(path)).json()["goal"] == "Book."
    again = await client.patch(
        path, json={"goal": "Sell."}, headers={"If-Match": second.headers["etag"]}
    )
    assert again.status_code == 200


async def test_of_twenty_editors_at_once_one_wins(client: httpx2.AsyncClient) -> None:
    path, etag = await make(client)
    answers = await asyncio.gather(
        *(client.patch(path, json={"goal": f"{n}."}, headers={"If-Match": etag}) for n in range(20))
    )
    assert sorted(each.status_code for each in answers) == [200] + [412] * 19
    winner = next(each for each in answers if each.status_code == 200)
    agent = (await client.get(path)).json()
    assert (agent["version"], agent["goal"]) == (2, winner.json()["goal"])


async def test_a_stale_editor_neither_deletes_nor_restores(client: httpx2.AsyncClient) -> None:
    path, etag = await make(client)
    await client.patch(path, json={"goal": "Book."})
    deleted = await client.delete(path, headers={"If-Match": etag})
    restored = await client.post(f"{path}/versions/1/restore", headers={"If-Match": etag})
    assert (deleted.status_code, restored.status_code) == (412, 412)
    agent = await client.get(path)
    assert agent.json()["version"] == 2
    now = agent.headers["etag"]
    assert (await client.delete(path, headers={"If-Match": now})).status_code == 204
    assert (await client.delete(path, headers={"If-Match": now})).status_code == 404


async def test_several_etags_and_any_are_taken(client: httpx2.AsyncClient) -> None:
    path, _ = await make(client)
    for matching in ('"7", "1"', "*"):
        answer = await client.patch(path, json={"goal": "x"}, headers={"If-Match": matching})
        assert answer.status_code == 200, (matching, answer.text)


@pytest.mark.parametrize("value", ["1", 'W/"1"', "", '"1" "2"', "'1'"])
async def test_an_if_match_that_is_no_strong_etag_is_refused_and_changes_nothing(
    client: httpx2.AsyncClient, value: str
) -> None:
    path, _ = await make(client)
    answer = await client.patch(path, json={"goal": "x"}, headers={"If-Match": value})
    assert answer.status_code == 400
    assert {each["pointer"] for each in answer.json()["errors"]} == {"header:If-Match"}
    assert (await client.get(path)).json()["version"] == 1


async def test_a_bad_body_is_told_before_the_precondition(client: httpx2.AsyncClient) -> None:
    path, _ = await make(client)
    answer = await client.patch(path, json={"colour": 1}, headers={"If-Match": '"9"'})
    assert answer.status_code == 400
