"""What a wrong value is told: one thing a mistake, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from bolti_server.web.contract import load_contract
from bolti_server.web.pattern_words import words_for

AGENTS = "/workspaces/current/agents"


def patterns(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("pattern"), str):
            yield node["pattern"]
        for each in node.values():
            yield from patterns(each)
    elif isinstance(node, list):
        for each in node:
            yield from patterns(each)


def test_every_pattern_of_the_contract_has_words() -> None:
    found = set(patterns(load_contract().document))
    assert len(found) > 40
    assert {each for each in found if each in words_for(each)} == set()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"name": ""}, ("/name", "too_short", "Needs at least 1 character.")),
        (
            {"name": "  "},
            (
                "/name",
                "invalid_format",
                "Expected a text that is more than blanks, without U+0000.",
            ),
        ),
        ({"name": "x" * 256}, ("/name", "too_long", "May have at most 255 characters.")),
        (
            {"name": "Desk", "tool_ids": ["tool_1"]},
            (
                "/tool_ids/0",
                "invalid_format",
                "Expected an id: tool_ and 26 characters, as the API gave it.",
            ),
        ),
    ],
)
async def test_a_mistake_is_told_once_and_in_words(
    client: httpx2.AsyncClient, body: dict[str, Any], told: tuple[str, str, str]
) -> None:
    answer = await client.post(AGENTS, json=body)
    assert answer.status_code == 400
    assert [(e["pointer"], e["code"], e["detail"]) for e in answer.json()["errors"]] == [told]
