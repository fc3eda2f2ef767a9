"""Agents over the API: every save is a version, everything wrong is told at once, other workspaces see nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest
from tests.server.conftest import Home, client_for

from bolti_server.agents import queries, reading
from bolti_server.base.ids import new_id
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


async def faults(client: httpx2.AsyncClient, **fields: Any) -> dict[str, str]:
    """pointer → code of what creating such an agent is refused with."""
    answer = await client.post(AGENTS, json={"name": "Desk", **SIMULATED, **fields})
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] == "validation_failed"
    return {fault["pointer"]: fault["code"] for fault in answer.json()["errors"]}


async def versions(world: World, home: Home, agent_id: str) -> int:
    async with world.db.transaction() as tx:
        count: int = await tx.fetchval(
            "select count(*) from agent_versions where agent_id = $1 and workspace_id = $2",
            agent_id,
            home.workspace_id,
        )
    return count


async def test_a_name_is_enough_for_an_agent_on_the_default_models(
    client: httpx2.AsyncClient, home: Home
) -> None:
    answer = await client.post(AGENTS, json={"name": "Desk"})
    assert answer.status_code == 201
    agent = answer.json()
    assert answer.headers["location"] == f"/workspaces/{home.workspace_id}/agents/{agent['id']}"
    assert agent["workspace_id"] == home.workspace_id
    assert (agent["version"], agent["is_active"], agent["required_variables"]) == (1, True, [])
    assert (agent["stt"]["provider"], agent["stt"]["model"]) == ("deepgram", "nova-3")
    assert (agent["llm"]["provider"], agent["llm"]["model"]) == ("openai", "gpt-4.1")
    assert (agent["tts"]["provider"], agent["tts"]["model"]) == ("cartesia", "sonic-3")
    assert agent["built_in_tools"] == ["cut_call"]
    assert agent["limits"] == {
        "max_duration_seconds": 600, "silence_timeout_seconds": 20, "ring_timeout_seconds": 30,
    }  # fmt: skip
    assert agent["turn"]["endpointing_min_delay_ms"] == 300
    assert agent["is_recording_enabled"] is True
    assert (await client.get(f"{AGENTS}/{agent['id']}")).json() == agent


async def test_what_was_given_comes_back(client: httpx2.AsyncClient) -> None:
    given = {
        "name": "Zahnärztin",
        "is_active": False,
        "system_prompt": "Talk with {{ name }} about {{ topic | default: \"teeth\" }}.",
        "first_message": "Hello {{ name }}.",
        "persona": "Kind.",
        "goal": None,
        "guardrails": "No {{ forbidden }}.",
        "primary_language": "hi-IN",
        "timezone": "Asia/Kolkata",
        "stt": {"provider": "simulated", "model": None, "language": "hi", "final_delay_ms": 40},
        "llm": {
            "provider": "simulated", "model": "simulated", "temperature": 0.4, "base_url": None,
            "rules": [{"hear": "bye", "say": "Bye.", "tool": {"name": "cut_call", "arguments": {"reason": "done"}}}],
            "default_reply": "Sure.", "first_token_delay_ms": 150,
        },
        "tts": {"provider": "simulated", "model": None, "voice": "modem", "speed": 1.25, "first_audio_delay_ms": 90},
        "turn": {
            "endpointing_min_delay_ms": 200, "endpointing_max_delay_ms": 900,
            "is_interruption_enabled": False, "interruption_min_duration_ms": 500,
        },
        "limits": {"max_duration_seconds": 60, "silence_timeout_seconds": 5, "ring_timeout_seconds": 2},
        "is_recording_enabled": False,
        "disclosure_text": "This call is recorded.",
        "built_in_tools": [],
        "tool_ids": [],
    }  # fmt: skip
    agent = await make(client, **given)
    assert {name: agent[name] for name in given} == given
    assert agent["required_variables"] == ["name", "forbidden"]


async def test_every_save_makes_a_version_and_the_old_ones_stay(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    agent = await make(client, first_message="One.")
    for number in (2, 3):
        changed = await change(client, agent["id"], first_message=f"Number {number}.")
        assert changed["version"] == number
    async with world.db.transaction() as tx:
        first = await reading.version_for_call(tx, home.workspace_id, agent["id"], 1)
        now = await reading.for_call(tx, home.workspace_id, agent["id"])
    assert first is not None
    assert now is not None
    assert first.configuration.first_message == "One."
    assert (now.configuration.first_message, now.version) == ("Number 3.", 3)
    assert changed["updated_at"] > agent["created_at"]
    assert changed["created_at"] == agent["created_at"]


async def test_a_patch_leaves_what_it_does_not_name_and_null_clears(
    client: httpx2.AsyncClient,
) -> None:
    agent = await make(
        client, system_prompt="Be brief.", persona="Kind.", goal="Sell.", first_message="Hi {{ name }}.",
        limits={"max_duration_seconds": 60},
    )  # fmt: skip
    changed = await change(client, agent["id"], persona=None, first_message=None)
    assert (changed["persona"], changed["first_message"]) == (None, None)
    assert (changed["goal"], changed["system_prompt"]) == ("Sell.", "Be brief.")
    assert (changed["required_variables"], agent["required_variables"]) == ([], ["name"])
    # settings objects are replaced whole
    changed = await change(client, agent["id"], limits={"ring_timeout_seconds": 5})
    assert changed["limits"]["max_duration_seconds"] == 600
    assert changed["stt"] == agent["stt"]


@pytest.mark.parametrize(
    "fields",
    [{"name": None}, {"is_active": None}, {"stt": None}, {"tool_ids": None}, {"timezone": None}],
)
async def test_null_is_refused_where_nothing_is_no_value(
    client: httpx2.AsyncClient, fields: dict[str, None]
) -> None:
    agent = await make(client)
    answer = await client.patch(f"{AGENTS}/{agent['id']}", json=fields)
    assert answer.status_code == 400
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [f"/{next(iter(fields))}"]


async def test_everything_wrong_is_listed_at_once_and_nothing_is_saved(
    client: httpx2.AsyncClient,
) -> None:
    missing = new_id("tool")
    found = await faults(
        client,
        stt={"provider": "deepgrm"},
        llm={"provider": "openai", "model": "gpt-9"},
        tts={"provider": "cartesia", "voice": "katie"},
        system_prompt="{{ name | upcase }} and {{",
        first_message="Hello {{ user.name }}",
        timezone="Asia/Atlantis",
        turn={"endpointing_min_delay_ms": 900, "endpointing_max_delay_ms": 300},
        tool_ids=[missing],
    )
    assert found == {
        "/stt/provider": "unknown_provider",
        "/llm/model": "unknown_model",
        "/tts/voice": "unknown_voice",
        "/system_prompt": "invalid_template",
        "/first_message": "invalid_template",
        "/timezone": "unknown_timezone",
        "/turn/endpointing_max_delay_ms": "out_of_range",
        "/tool_ids/0": "not_found",
    }
    assert (await client.get(AGENTS)).json()["data"] == []


async def test_a_rule_that_is_no_pattern_is_found_at_save(client: httpx2.AsyncClient) -> None:
    rules = [{"hear": "fine"}, {"hear": "(open"}, {"hear": "(?=ahead)"}]
    found = await faults(client, llm={"provider": "simulated", "rules": rules})
    assert found == {"/llm/rules/1/hear": "invalid_pattern", "/llm/rules/2/hear": "invalid_pattern"}


async def test_a_base_url_is_taken_only_from_the_operators_list(client: httpx2.AsyncClient) -> None:
    llm = {"provider": "openai", "model": "own", "base_url": "http://169.254.169.254/v1"}
    assert await faults(client, llm=llm) == {"/llm/base_url": "base_url_not_allowed"}


async def test_a_variable_that_no_call_could_give_a_value_is_refused(
    client: httpx2.AsyncClient,
) -> None:
    assert await faults(client, goal="{{ नाम }}") == {"/goal": "invalid_template"}
    assert await faults(client, goal='{{ 1st | default: "x" }}') == {"/goal": "invalid_template"}
    many = " ".join(f"{{{{ v{number} }}}}" for number in range(201))
    assert await faults(client, system_prompt=many) == {"/system_prompt": "too_many"}


async def test_changing_the_language_resets_speech_to_text_to_the_default_with_its_code(
    client: httpx2.AsyncClient,
) -> None:
    agent = (
        await client.post(AGENTS, json={"name": "Desk", "stt": {"provider": "deepgram", "model": "nova-2-phonecall"}})
    ).json()  # fmt: skip
    changed = await change(client, agent["id"], primary_language="hi-IN")
    assert changed["stt"] == {
        "provider": "deepgram", "model": "nova-3", "language": "hi", "final_delay_ms": 0,
    }  # fmt: skip
    # saying which one it shall be wins
    own = {"provider": "deepgram", "model": "nova-2", "language": "fr"}
    changed = await change(client, agent["id"], primary_language="fr-FR", stt=own)
    assert changed["stt"]["model"] == "nova-2"
    # the same language again is no change
    changed = await change(client, agent["id"], primary_language="fr-FR")
    assert changed["stt"]["model"] == "nova-2"
    answer = await client.patch(f"{AGENTS}/{agent['id']}", json={"primary_language": "sw-KE"})
    assert answer.json()["errors"][0]["pointer"] == "/primary_language"


async def test_an_agent_on_simulated_models_keeps_them_in_every_language(
    client: httpx2.AsyncClient,
) -> None:
    agent = await make(client)
    changed = await change(client, agent["id"], primary_language="hi-IN")
    assert changed["stt"]["provider"] == "simulated"


async def test_concurrent_saves_come_one_after_the_other(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    agent = await make(client)
    answers = await asyncio.gather(
        *(client.patch(f"{AGENTS}/{agent['id']}", json={"goal": f"{n}"}) for n in range(20))
    )
    assert [answer.status_code for answer in answers] == [200] * 20
    assert sorted(answer.json()["version"] for answer in answers) == list(range(2, 22))
    assert await versions(world, home, agent["id"]) == 21


async def test_a_repeated_create_makes_one_agent(client: httpx2.AsyncClient) -> None:
    body = {"name": "Once"}
    answers = [
        await client.post(AGENTS, json=body, headers={"Idempotency-Key": "k1"}) for _ in range(2)
    ]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["idempotency-replayed"] == "true"
    assert len((await client.get(AGENTS)).json()["data"]) == 1


async def test_lists_are_pages_newest_first_and_filter(client: httpx2.AsyncClient) -> None:
    made = [await make(client, name=f"Agent {n}", is_active=n % 2 == 0) for n in range(5)]
    newest_first = [agent["id"] for agent in reversed(made)]
    seen: list[str] = []
    after = None
    while True:
        query = {"limit": "2", **({"after": after} if after else {})}
        page = (await client.get(AGENTS, params=query)).json()
        seen += [agent["id"] for agent in page["data"]]
        after = page["next"]
        if after is None:
            break
    assert seen == newest_first
    active = (await client.get(AGENTS, params={"is_active": "true"})).json()["data"]
    assert [agent["name"] for agent in active] == ["Agent 4", "Agent 2", "Agent 0"]
    named = (await client.get(AGENTS, params={"name": "Agent 3"})).json()["data"]
    assert [agent["id"] for agent in named] == [made[3]["id"]]
    assert (await client.get(AGENTS, params={"name": "Agent"})).json()["data"] == []


async def test_another_workspaces_agent_is_one_that_does_not_exist(
    app: Any, client: httpx2.AsyncClient, other_home: Home
) -> None:
    agent = await make(client, first_message="Secret.")
    async with client_for(app, other_home.api_key) as stranger:
        for agent_id in (agent["id"], new_id("agent")):
            path = f"{AGENTS}/{agent_id}"
            answers = [
                await stranger.get(path),
                await stranger.patch(path, json={"name": "Mine"}),
                await stranger.patch(path, json={"name": 7, "nonsense": True}),
                await stranger.delete(path),
            ]
            assert [(a.status_code, a.json()["code"]) for a in answers] == [(404, "not_found")] * 4
        assert (await stranger.get(AGENTS)).json()["data"] == []
    assert (await client.get(f"{AGENTS}/{agent['id']}")).json() == agent


async def test_a_deleted_agent_is_gone_and_its_versions_stay_for_the_records(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    agent = await make(client)
    assert (await client.delete(f"{AGENTS}/{agent['id']}")).status_code == 204
    for answer in (
        await client.get(f"{AGENTS}/{agent['id']}"),
        await client.patch(f"{AGENTS}/{agent['id']}", json={"goal": "x"}),
        await client.delete(f"{AGENTS}/{agent['id']}"),
    ):
        assert answer.status_code == 404
    async with world.db.transaction() as tx:
        assert await reading.for_call(tx, home.workspace_id, agent["id"]) is None
        assert await reading.version_for_call(tx, home.workspace_id, agent["id"], 1) is not None


async def test_a_call_start_reads_its_agent_in_one_statement(
    client: httpx2.AsyncClient, world: World, home: Home
) -> None:
    agent = await make(client)
    statements: list[str] = []
    async with world.db.transaction() as tx:
        tx.connection.add_query_logger(lambda query: statements.append(query.query))
        assert await reading.for_call(tx, home.workspace_id, agent["id"]) is not None
        plan = await tx.fetch(
            "explain " + queries._CURRENT + " where a.workspace_id = $1 and a.id = $2",
            home.workspace_id,
            agent["id"],
        )
    assert (
        len([each for each in statements if "from agents" in each and "explain" not in each]) == 1
    )
    assert "Seq Scan" not in "\n".join(row[0] for row in plan)


async def test_the_catalogue_lists_what_an_agent_can_name(client: httpx2.AsyncClient) -> None:
    shown = (await client.get("/workspaces/current/catalogue")).json()
    assert [each["provider"] for each in shown["stt"]] == ["deepgram", "simulated"]
    assert [each["name"] for each in shown["llm"]] == ["OpenAI", "Simulated"]
    voices = [voice["voice"] for voice in shown["tts"][1]["voices"]]
    assert voices == ["speech", "modem"]
    for kind in shown.values():
        for provider in kind:
            assert sum(model["is_default"] for model in provider["models"]) == 1
