"""The order of providers of an agent: kept, checked as the first is, and handed to the worker."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

AGENTS = "/workspaces/current/agents"
FIRST = {
    "stt": {"provider": "deepgram", "model": "nova-3"},
    "llm": {"provider": "openai", "model": "gpt-4.1"},
    "tts": {"provider": "cartesia", "model": "sonic-3"},
}


async def test_an_order_of_providers_is_kept_and_replaced_whole(client: httpx2.AsyncClient) -> None:
    made = await client.post(
        AGENTS,
        json={
            "name": "Desk",
            **FIRST,
            "stt_fallbacks": [{"provider": "deepgram", "model": "nova-2"}],
            "llm_fallbacks": [
                {"provider": "openai", "model": "gpt-4.1-mini", "temperature": 0.3},
                {"provider": "simulated"},
            ],
            "tts_fallbacks": [{"provider": "simulated", "speed": 1.2}],
        },
    )
    assert made.status_code == 201, made.text
    agent = made.json()
    assert [each["model"] for each in agent["stt_fallbacks"]] == ["nova-2"]
    assert agent["llm_fallbacks"][0]["temperature"] == 0.3
    assert agent["tts_fallbacks"][0]["speed"] == 1.2

    changed = await client.patch(f"{AGENTS}/{agent['id']}", json={"llm_fallbacks": []})
    assert changed.status_code == 200, changed.text
    assert changed.json()["llm_fallbacks"] == []
    assert changed.json()["stt_fallbacks"] == agent["stt_fallbacks"]


async def test_an_agent_has_no_fallbacks_unless_it_names_some(client: httpx2.AsyncClient) -> None:
    agent = (await client.post(AGENTS, json={"name": "Desk"})).json()
    assert (agent["stt_fallbacks"], agent["llm_fallbacks"], agent["tts_fallbacks"]) == ([], [], [])


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        (
            {"stt_fallbacks": [{"provider": "deepgram", "model": "nova-2"}, {"provider": "ear"}]},
            {"/stt_fallbacks/1/provider": "unknown_provider"},
        ),
        (
            {"llm_fallbacks": [{"provider": "openai", "base_url": "http://169.254.169.254/v1"}]},
            {"/llm_fallbacks/0/base_url": "base_url_not_allowed"},
        ),
        (
            {"tts_fallbacks": [{"provider": "cartesia", "model": "sonic-3", "voice": "Katie"}]},
            {"/tts_fallbacks/0/voice": "unknown_voice"},
        ),
        (
            {
                "primary_language": "hi",
                "stt_fallbacks": [{"provider": "deepgram", "model": "nova-2-phonecall"}],
            },
            {"/stt_fallbacks/0/model": "language_not_supported"},
        ),
        (
            {"llm_fallbacks": [{"provider": "simulated", "rules": [{"hear": "(", "say": "x"}]}]},
            {"/llm_fallbacks/0/rules/0/hear": "invalid_pattern"},
        ),
        (
            {"stt_fallbacks": [{"provider": "deepgram"}]},
            {"/stt_fallbacks/0": "not_unique"},
        ),
        (
            {"tts_fallbacks": [{"provider": "simulated"}, {"provider": "simulated"}]},
            {"/tts_fallbacks/1": "not_unique"},
        ),
    ],
)
async def test_whoever_is_asked_instead_must_be_able_to_hold_the_call(
    client: httpx2.AsyncClient, fields: dict[str, Any], wrong: dict[str, str]
) -> None:
    answer = await client.post(AGENTS, json={"name": "Desk", **FIRST, **fields})
    assert answer.status_code == 400, answer.text
    assert {each["pointer"]: each["code"] for each in answer.json()["errors"]} == wrong


async def test_at_most_three_stand_behind_the_first(client: httpx2.AsyncClient) -> None:
    models = ["gpt-4.1-mini", "gpt-4.1-nano", "gpt-4o", "gpt-4o-mini"]
    fallbacks = [{"provider": "openai", "model": model} for model in models]
    answer = await client.post(AGENTS, json={"name": "Desk", "llm_fallbacks": fallbacks})
    assert answer.status_code == 400
    assert "/llm_fallbacks" in {each["pointer"] for each in answer.json()["errors"]}
