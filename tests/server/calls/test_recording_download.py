"""Fetching a recording: whole, in ranges, by key and by signed link."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx2
import pytest
from litestar import Litestar
from tests.server.conftest import Home, client_for
from tests.server.support.calls_public import (
    Desk,
    answer_call,
    end_call,
    keep_recording,
    make_desk,
)

from bolti_server.base.errors import Refusal
from bolti_server.calls.recording_download import span_of
from bolti_server.web.recording_links import recording_url
from bolti_server.world import World

CONTENT = bytes(range(256)) * 2500  # 640,000 bytes: more than two chunks


@pytest.fixture
async def desk(world: World, client: httpx2.AsyncClient, home: Home) -> Desk:
    return await make_desk(world, client, home.workspace_id)


@pytest.fixture
async def recorded(world: World, desk: Desk) -> str:
    """Id of a conversation with a recording."""
    conversation_id = await desk.placed()
    await answer_call(world, conversation_id)
    await keep_recording(world, desk.workspace_id, conversation_id, CONTENT)
    await end_call(world, desk.workspace_id, conversation_id)
    return conversation_id


def path_of(conversation_id: str) -> str:
    return f"/workspaces/current/conversations/{conversation_id}/recording"


async def test_the_whole_recording_comes_as_it_was_stored(
    client: httpx2.AsyncClient, recorded: str
) -> None:
    answer = await client.get(path_of(recorded))
    assert answer.status_code == 200
    assert answer.content == CONTENT
    assert answer.headers["Content-Type"] == "audio/ogg"
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Request-Id"]


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-65535", 0, 65_536),
        ("bytes=100-600000", 100, 600_001),
        ("bytes=639999-", 639_999, 640_000),
        ("bytes=10-99999999999999999999", 10, 640_000),
        ("bytes=-1000", 639_000, 640_000),
        ("bytes=-9999999", 0, 640_000),
    ],
)
async def test_a_range_comes_alone(
    client: httpx2.AsyncClient, recorded: str, wanted: str, start: int, end: int
) -> None:
    answer = await client.get(path_of(recorded), headers={"Range": wanted})
    assert answer.status_code == 206
    assert answer.content == CONTENT[start:end]
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/640000"
    assert answer.headers["Content-Length"] == str(end - start)


@pytest.mark.parametrize("wanted", ["bytes=640000-", "bytes=640000-640001", "bytes=-0"])
async def test_bytes_that_are_not_there_can_not_be_had(
    client: httpx2.AsyncClient, recorded: str, wanted: str
) -> None:
    answer = await client.get(path_of(recorded), headers={"Range": wanted})
    assert answer.status_code == 416
    assert answer.json()["code"] == "range_not_satisfiable"
    assert answer.headers["Content-Range"] == "bytes */640000"


def test_a_range_that_ends_before_its_start_is_no_range() -> None:
    assert span_of("bytes=5-4", 10) == span_of(None, 10)


def test_an_empty_recording_has_no_ranges() -> None:
    assert span_of(None, 0).length == 0
    with pytest.raises(Refusal, match="range_not_satisfiable"):
        span_of("bytes=0-", 0)


@pytest.mark.parametrize("wanted", ["bytes=0-1,4-5", "lines=1-2", "bytes=", "bytes=-"])
async def test_what_is_no_range_of_the_contract_is_refused(
    client: httpx2.AsyncClient, recorded: str, wanted: str
) -> None:
    answer = await client.get(path_of(recorded), headers={"Range": wanted})
    assert answer.status_code == 400
    assert [each["pointer"] for each in answer.json()["errors"]] == ["header:Range"]


async def test_head_tells_the_size_without_the_bytes(
    client: httpx2.AsyncClient, recorded: str
) -> None:
    answer = await client.head(path_of(recorded))
    assert answer.status_code == 200
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.content == b""


async def test_the_link_of_the_record_needs_no_key(
    anonymous: httpx2.AsyncClient, desk: Desk, recorded: str
) -> None:
    url = (await desk.conversation(recorded))["recording_url"]
    answer = await anonymous.get(url, headers={"Range": "bytes=0-9"})
    assert answer.status_code == 206
    assert answer.content == CONTENT[:10]


async def test_a_link_that_was_changed_has_expired_or_is_for_another_call_opens_nothing(
    anonymous: httpx2.AsyncClient, desk: Desk, world: World, recorded: str
) -> None:
    good = recording_url(world, desk.workspace_id, recorded)
    other = await desk.placed()
    link = urlsplit(good)
    for bad in (
        good[:-1] + ("A" if good[-1] != "A" else "B"),
        good.replace("expires=", "expires=1"),
        good.replace(recorded, other),
        recording_url(world, desk.workspace_id, recorded, seconds=-1),
        good.split("&", maxsplit=1)[0],
        good.replace("/recording?", "?"),
        f"{link.scheme}://{link.netloc}{link.path}",
    ):
        answer = await anonymous.get(bad)
        assert answer.status_code in (400, 401), bad
        assert b"OggS" not in answer.content


async def test_without_key_or_link_nothing_is_told(
    anonymous: httpx2.AsyncClient, recorded: str
) -> None:
    assert (await anonymous.get(path_of(recorded))).status_code == 401


async def test_another_workspace_gets_no_recording(
    app: Litestar, other_home: Home, recorded: str
) -> None:
    async with client_for(app, other_home.api_key) as stranger:
        answer = await stranger.get(path_of(recorded))
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


async def test_a_call_without_a_recording_says_so(desk: Desk, world: World) -> None:
    conversation_id = await desk.placed()
    answer = await desk.client.get(path_of(conversation_id))
    assert answer.status_code == 404
    assert answer.json()["code"] == "recording_not_available"
    assert answer.json()["recording_status"] == "none"
    assert "comes after its end" in answer.json()["detail"]
    await answer_call(world, conversation_id)
    peaks = await desk.client.get(path_of(conversation_id) + "/peaks")
    assert "comes after its end" in peaks.json()["detail"]
    await end_call(world, desk.workspace_id, conversation_id, has_recording=True)
    answer = await desk.client.get(path_of(conversation_id))
    assert answer.json()["recording_status"] == "pending"
    assert "not ready" in answer.json()["detail"]


async def test_a_call_that_is_over_and_was_not_recorded_has_no_recording(
    desk: Desk, world: World
) -> None:
    conversation_id = await desk.placed()
    await answer_call(world, conversation_id)
    await end_call(world, desk.workspace_id, conversation_id)
    answer = await desk.client.get(path_of(conversation_id))
    assert answer.json()["recording_status"] == "none"
    assert answer.json()["detail"] == "This conversation has no recording."


async def test_a_recording_whose_file_is_gone_is_a_problem_and_no_broken_download(
    client: httpx2.AsyncClient, world: World, recorded: str
) -> None:
    path = await world.db.fetchval(
        "select recording_path from conversations where id = $1", recorded
    )
    await world.objects.delete(path)
    answer = await client.get(path_of(recorded))
    assert answer.status_code == 404
    assert answer.json()["code"] == "recording_not_available"
