"""Who is let in: keys, the words of a refusal, scopes, and signed links to recordings."""

from __future__ import annotations

import httpx2
import pytest
from litestar import Litestar
from tests.server.conftest import Home, client_for

from bolti_server.base.crypto import make_token
from bolti_server.base.ids import new_id
from bolti_server.web.recording_links import PURPOSE, recording_url
from bolti_server.workspaces.creating import create_api_key
from bolti_server.world import World

WORKSPACE = "/workspaces/current"


async def key_with(world: World, workspace_id: str, *scopes: str) -> str:
    async with world.db.transaction() as tx:
        made = await create_api_key(tx, world.vault, workspace_id, name="narrow", scopes=scopes)
    return made.token


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic dXNlcjpwYXNz",
        "Bearer x",
        "Bearer bolti_sk_" + "0" * 36,
        "Bearer " + "bolti_sk_é",
        "Bearer " + make_token("bolti_sk_"),
        "Bearer " + make_token("bolti_pat_"),
        "Bearer " + "x" * 100_000,
    ],
)
async def test_whoever_has_no_key_is_told_how_to_send_one(
    anonymous: httpx2.AsyncClient, authorization: str | None
) -> None:
    headers = [] if authorization is None else [("Authorization", authorization.encode("latin-1"))]
    answer = await anonymous.get(WORKSPACE, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == 'Bearer realm="bolti"'


async def test_a_mistyped_key_is_refused_without_a_look_into_the_database(
    anonymous: httpx2.AsyncClient, home: Home, world: World
) -> None:
    last = "A" if home.api_key[-1] != "A" else "B"
    await world.db.close()
    headers = {"Authorization": f"Bearer {home.api_key[:-1]}{last}"}
    assert (await anonymous.get(WORKSPACE, headers=headers)).status_code == 401


async def test_the_scheme_is_read_in_any_case(anonymous: httpx2.AsyncClient, home: Home) -> None:
    headers = {"Authorization": f"bearer {home.api_key}"}
    assert (await anonymous.get(WORKSPACE, headers=headers)).status_code == 200


async def test_another_workspaces_id_answers_like_one_that_does_not_exist(
    client: httpx2.AsyncClient, other_home: Home
) -> None:
    theirs = await client.get(f"/workspaces/{other_home.workspace_id}")
    none = await client.get(f"/workspaces/{new_id('ws')}")
    odd = await client.get("/workspaces/no-id-at-all")
    for answer in (theirs, none, odd):
        assert answer.status_code == 404
    told = [
        {k: v for k, v in each.json().items() if k not in ("instance", "request_id")}
        for each in (theirs, none, odd)
    ]
    assert told[0] == told[1] == told[2]


async def test_a_key_without_the_scope_is_told_which_one(
    app: Litestar, world: World, home: Home
) -> None:
    async with client_for(app, await key_with(world, home.workspace_id, "agents:read")) as narrow:
        answer = await narrow.get(WORKSPACE)
        assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
        assert answer.json()["required_scope"] == "workspace:read"
        assert "workspace:read" in answer.json()["detail"]


async def test_a_bad_parameter_and_a_missing_scope_are_told_together(
    app: Litestar, world: World, home: Home
) -> None:
    async with client_for(app, await key_with(world, home.workspace_id, "agents:read")) as narrow:
        answer = await narrow.get(f"{WORKSPACE}/api-keys", params={"limit": 0})
        assert answer.status_code == 400, "the status is the first that applies: 400 before 403"
        assert {each["code"] for each in answer.json()["errors"]} == {
            "too_small",
            "insufficient_scope",
        }
        assert answer.json()["required_scope"] == "keys:read"


def link_parts(url: str) -> tuple[str, dict[str, str]]:
    parsed = httpx2.URL(url)
    return parsed.path, dict(parsed.params)


async def test_a_signed_link_stands_in_for_a_key(
    anonymous: httpx2.AsyncClient, world: World, home: Home
) -> None:
    """There is no such conversation: 404 says that the link got in, where 401 is for those that don't."""
    path, query = link_parts(recording_url(world, home.workspace_id, new_id("conv")))
    assert (await anonymous.get(path)).status_code == 401
    assert (await anonymous.get(path, params=query)).status_code == 404


async def test_a_changed_link_is_refused(
    anonymous: httpx2.AsyncClient, world: World, home: Home
) -> None:
    path, query = link_parts(recording_url(world, home.workspace_id, new_id("conv")))
    later = {**query, "expires": str(int(query["expires"]) + 1)}
    forged = {**query, "signature": query["signature"][:-1] + "A"}
    elsewhere = path.replace(path.split("/")[4], new_id("conv"))
    unsigned = {"expires": query["expires"]}
    for where, with_query in ((path, later), (path, forged), (elsewhere, query), (path, unsigned)):
        answer = await anonymous.get(where, params=with_query)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


async def test_a_link_that_has_expired_is_refused(
    anonymous: httpx2.AsyncClient, world: World, home: Home
) -> None:
    path, query = link_parts(recording_url(world, home.workspace_id, new_id("conv"), seconds=-1))
    answer = await anonymous.get(path, params=query)
    assert answer.status_code == 401
    assert "expired" in answer.json()["detail"]


async def test_a_link_opens_nothing_but_its_recording(
    anonymous: httpx2.AsyncClient, world: World, home: Home
) -> None:
    path, query = link_parts(recording_url(world, home.workspace_id, new_id("conv")))
    transcript = path.replace("/recording", "/transcript")
    assert (await anonymous.get(transcript, params=query)).status_code == 401


async def test_a_signature_of_another_purpose_is_none(
    anonymous: httpx2.AsyncClient, world: World, home: Home
) -> None:
    path, query = link_parts(recording_url(world, home.workspace_id, new_id("conv")))
    conversation_id = path.split("/")[4]
    signature = world.vault.sign("worker call", f"{conversation_id}:{query['expires']}")
    assert PURPOSE != "worker call"
    answer = await anonymous.get(path, params={**query, "signature": signature})
    assert answer.status_code == 401
