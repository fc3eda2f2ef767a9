"""What an agent does with mailboxes, silence and transfers: saved, checked, kept when something else changes."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from bolti_server.migrations.runner import FOLDER
from bolti_server.world import World

AGENTS = "/workspaces/current/agents"


async def made(client: httpx2.AsyncClient, **settings: Any) -> dict[str, Any]:
    answer = await client.post(AGENTS, json={"name": "Front desk", **settings})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_an_agent_hangs_up_on_mailboxes_and_asks_into_silence_unless_told_otherwise(
    client: httpx2.AsyncClient,
) -> None:
    agent = await made(client)
    assert agent["voicemail"] == {"behaviour": "hang_up", "message": None}
    assert agent["is_answering_machine_detection_enabled"] is True
    assert agent["silence_prompt"] == {"times": 2, "text": None}
    assert agent["transfer_targets"] == []


async def test_the_settings_are_kept_when_something_else_is_changed(
    client: httpx2.AsyncClient,
) -> None:
    settings = {
        "voicemail": {"behaviour": "leave_message", "message": "Call back, {{ name }}."},
        "is_answering_machine_detection_enabled": False,
        "silence_prompt": {"times": 1, "text": "Hello, {{ title }}?"},
        "transfer_targets": [
            {"name": "billing", "phone_number": "+12025550105", "mode": "cold"},
            {"name": "a doctor", "phone_number": "+12025550104", "mode": "warm"},
        ],
        "built_in_tools": ["transfer_call", "schedule_callback", "send_dtmf"],
    }
    agent = await made(client, **settings)
    assert {name: agent[name] for name in settings} == settings
    assert set(agent["required_variables"]) == {"name", "title"}
    answer = await client.patch(f"{AGENTS}/{agent['id']}", json={"goal": "Be kind."})
    assert {name: answer.json()[name] for name in settings} == settings


async def test_a_transfer_is_cold_where_nothing_is_said(client: httpx2.AsyncClient) -> None:
    target = {"name": "billing", "phone_number": "+12025550105"}
    agent = await made(client, transfer_targets=[target])
    assert agent["transfer_targets"] == [{**target, "mode": "cold"}]


async def test_targets_that_were_saved_before_a_transfer_could_be_warm_are_cold(
    client: httpx2.AsyncClient, world: World
) -> None:
    targets = [{"name": name, "phone_number": "+12025550105", "mode": "warm"} for name in "bac"]
    agent = await made(client, transfer_targets=targets)
    other = await made(client)
    update, _, _ = (FOLDER / "0009_warm_transfers.sql").read_text().partition(";")
    async with world.db.transaction() as tx:
        await tx.execute(
            """update agent_versions set configuration = jsonb_set(configuration, '{transfer_targets}',
                   (select jsonb_agg(target - 'mode' order by place)
                    from jsonb_array_elements(configuration -> 'transfer_targets') with ordinality t (target, place)))
               where agent_id = $1""",
            agent["id"],
        )
        await tx.execute(update)
    found = (await client.get(f"{AGENTS}/{agent['id']}")).json()["transfer_targets"]
    assert found == [{**target, "mode": "cold"} for target in targets]
    assert (await client.get(f"{AGENTS}/{other['id']}")).json()["transfer_targets"] == []


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"voicemail": {"behaviour": "leave_message"}}, "/voicemail/message"),
        ({"voicemail": {"behaviour": "leave_message", "message": " "}}, "/voicemail/message"),
        ({"voicemail": {"message": "{{ name"}}, "/voicemail/message"),
        ({"voicemail": {"behaviour": "shout"}}, "/voicemail/behaviour"),
        ({"silence_prompt": {"times": 3}}, "/silence_prompt/times"),
        ({"silence_prompt": {"text": "{{ }}"}}, "/silence_prompt/text"),
        (
            {"transfer_targets": [{"name": "a", "phone_number": "12"}]},
            "/transfer_targets/0/phone_number",
        ),
        (
            {"transfer_targets": [{"name": "a", "phone_number": "+12025550105"}] * 2},
            "/transfer_targets/1/name",
        ),
        ({"built_in_tools": ["make_coffee"]}, "/built_in_tools/0"),
    ],
)
async def test_what_could_not_work_is_refused_with_its_place(
    client: httpx2.AsyncClient, wrong: dict[str, Any], pointer: str
) -> None:
    answer = await client.post(AGENTS, json={"name": "Front desk", **wrong})
    assert answer.status_code == 400
    assert pointer in {each["pointer"] for each in answer.json()["errors"]}
