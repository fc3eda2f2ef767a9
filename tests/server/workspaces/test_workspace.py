"""The workspace: reading and changing it."""

from __future__ import annotations

import httpx2
from tests.server.conftest import Home


async def test_current_is_the_workspace_of_the_key(client: httpx2.AsyncClient, home: Home) -> None:
    by_word = await client.get("/workspaces/current")
    by_id = await client.get(f"/workspaces/{home.workspace_id}")
    assert by_word.status_code == 200
    assert by_word.json() == by_id.json()
    assert by_word.json()["id"] == home.workspace_id
    assert by_word.json()["organization_id"] == home.organization_id


async def test_what_is_left_out_of_a_change_stays(client: httpx2.AsyncClient) -> None:
    changed = await client.patch("/workspaces/current", json={"max_concurrent_calls": 3})
    assert changed.status_code == 200
    assert (changed.json()["name"], changed.json()["max_concurrent_calls"]) == ("Home", 3)
    renamed = await client.patch("/workspaces/current", json={"name": "Bright Dental"})
    assert (renamed.json()["name"], renamed.json()["max_concurrent_calls"]) == ("Bright Dental", 3)
    assert (await client.get("/workspaces/current")).json() == renamed.json()


async def test_a_change_of_nothing_is_fine(client: httpx2.AsyncClient) -> None:
    before = (await client.get("/workspaces/current")).json()
    assert (await client.patch("/workspaces/current", json={})).json() == before


async def test_a_wrong_change_changes_nothing(client: httpx2.AsyncClient) -> None:
    before = (await client.get("/workspaces/current")).json()
    answer = await client.patch(
        "/workspaces/current", json={"name": "  ", "max_concurrent_calls": 0, "colour": "red"}
    )
    assert answer.status_code == 400
    found = {(each["pointer"], each["code"]) for each in answer.json()["errors"]}
    assert found == {
        ("/name", "invalid_format"),
        ("/max_concurrent_calls", "too_small"),
        ("/colour", "unknown_field"),
    }
    assert (await client.get("/workspaces/current")).json() == before
