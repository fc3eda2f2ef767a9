"""Lists: one page, or all of it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.sdk.conftest import Face
from tests.sdk.support.contract import example
from tests.sdk.support.scripted_server import Answer, NoAnswer, Received, json_reply

PAGES = {None: (["a", "b"], "c1"), "c1": ([], "c2"), "c2": (["c"], None)}


def number(name: str) -> dict[str, Any]:
    return {**example("Number"), "id": f"num_{name}"}


def pages(received: Received) -> Answer:
    names, following = PAGES[received.query.get("after", [None])[0]]
    return json_reply({"data": [number(name) for name in names], "next": following})


async def test_iterating_goes_over_all_pages_even_over_an_empty_one(face: Face) -> None:
    face.server.script = pages
    found = await face.items(lambda client: client.numbers.list())
    assert [each.id for each in found] == ["num_a", "num_b", "num_c"]
    assert [each.query.get("after") for each in face.server.received] == [None, ["c1"], ["c2"]]


async def test_pages_are_fetched_when_they_are_reached(face: Face) -> None:
    face.server.script = pages
    await face.items(lambda client: client.numbers.list(), most=2)
    assert len(face.server.received) == 1


async def test_a_page_has_its_items_and_the_cursor_of_the_next(face: Face) -> None:
    face.server.script = pages
    page = await face(lambda client: client.numbers.list())
    assert [each.id for each in page.data] == ["num_a", "num_b"]
    assert page.next == "c1"
    assert "2 items" in repr(page)


async def test_pages_can_be_turned_by_hand(face: Face) -> None:
    face.server.script = pages

    async def of_async(client: Any) -> list[int]:
        page, sizes = await client.numbers.list(), []
        while page is not None:
            sizes.append(len(page.data))
            page = await page.next_page()
        return sizes

    def of_sync(client: Any) -> list[int]:
        page, sizes = client.numbers.list(), []
        while page is not None:
            sizes.append(len(page.data))
            page = page.next_page()
        return sizes

    assert await face(of_async if face.is_async else of_sync) == [2, 0, 1]


async def test_filters_go_with_every_page(face: Face) -> None:
    row = example("ConversationPage")["data"][0]
    face.server.answers = [
        json_reply({"data": [row], "next": "c1"}),
        NoAnswer(),
        json_reply({"data": [row], "next": None}),
    ]
    listed = lambda client: client.conversations.list(
        status=["busy", "failed"], to_number="+12025550100", simulated=True, limit=1
    )
    found = await face.items(listed)
    assert [each.is_over for each in found] == [True, True]
    first, _, second = (each.query for each in face.server.received)
    assert first == {
        "status": ["busy", "failed"],
        "to_number": ["+12025550100"],
        "simulated": ["true"],
        "limit": ["1"],
    }
    assert second == {**first, "after": ["c1"]}


@pytest.mark.parametrize("simulated", [True, False])
async def test_a_filter_that_is_false_is_sent(face: Face, simulated: bool) -> None:
    face.server.answers = [json_reply({"data": [], "next": None})]
    await face(lambda client: client.conversations.list(simulated=simulated))
    assert face.server.received[0].query == {"simulated": [str(simulated).lower()]}
