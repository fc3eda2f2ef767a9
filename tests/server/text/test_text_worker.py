"""Text calls by a whole worker against the real app over ASGI: what a user of the API sees of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest
from litestar import Litestar
from tests.server.conftest import Home
from tests.server.support.calls_public import Desk, make_desk
from tests.server.support.whole_worker import ended, running

from bolti_server.world import World

AGENT: dict[str, Any] = {
    "first_message": "Hello {{ name }}.",
    "built_in_tools": ["cut_call"],
    "stt": {"provider": "simulated"},
    "llm": {
        "provider": "simulated",
        "first_token_delay_ms": 200,
        "rules": [
            {"hear": "appointment", "say": "It is booked. Goodbye.", "tool": {"name": "cut_call"}}
        ],
    },
    "tts": {"provider": "simulated", "first_audio_delay_ms": 100},
}
TEXT = {"simulation": {"line": "text"}, "variable_values": {"name": "Asha"}}


@pytest.fixture
async def desk(world: World, client: httpx2.AsyncClient, home: Home) -> Desk:
    return await make_desk(world, client, home.workspace_id, **AGENT)


async def test_a_text_call_leaves_the_record_of_a_call_in_virtual_time(
    desk: Desk, app: Litestar, tmp_path: Path
) -> None:
    async with running(app, tmp_path):
        call = await ended(desk, await desk.placed(**TEXT))

    assert (call["line"], call["simulated"], call["status"]) == ("text", True, "completed")
    assert call["hangup"]["code"] == "agent_hangup"
    assert [(turn["role"], turn["text"]) for turn in call["transcript"]] == [
        ("agent", "Hello Asha."),
        ("user", "Hi. I would like to book an appointment for tomorrow, please."),
        ("agent", "It is booked. Goodbye."),
    ]
    last = call["transcript"][-1]
    assert [tool["name"] for tool in last["tool_calls"]] == ["cut_call"]
    assert last["latency"]["llm_first_token_ms"] == 200
    assert last["latency"]["tts_first_audio_ms"] == 100
    assert last["latency"]["end_to_end_ms"] == last["latency"]["end_of_turn_ms"] + 300
    assert call["recording_status"] == "none"
    assert call["recording_detail"] == "A text line has no sound to record."


async def test_its_length_and_price_are_those_of_its_virtual_time(
    desk: Desk, app: Litestar, tmp_path: Path
) -> None:
    async with running(app, tmp_path):
        call = await ended(desk, await desk.placed(**TEXT))

    spoken_ms = call["transcript"][-1]["end_ms"]
    assert spoken_ms > 5_000
    assert call["duration_seconds"] == -(-spoken_ms // 1000)
    assert call["cost"]["amount_micros"] == call["duration_seconds"] * 100_000  # ₹6 a minute
    assert call["cost"]["ledger"] == "test"


async def test_a_callee_that_rings_for_half_a_minute_takes_no_time(
    desk: Desk, app: Litestar, tmp_path: Path
) -> None:
    async with running(app, tmp_path):
        scenario = {"simulation": {"line": "text", "scenario": "no_answer"}}
        ids = [
            await desk.placed(**{**TEXT, **scenario}, allow_concurrent_to_callee=True)
            for _ in range(5)
        ]
        async with asyncio.timeout(10):
            calls = [await ended(desk, each) for each in ids]

    assert {call["status"] for call in calls} == {"no_answer"}
    assert {call["duration_seconds"] for call in calls} == {0}


async def test_a_worker_without_a_place_for_text_leaves_text_calls_alone(
    desk: Desk, app: Litestar, tmp_path: Path
) -> None:
    async with running(app, tmp_path / "no", worker_text_capacity=0):
        conversation_id = await desk.placed(**TEXT)
        await asyncio.sleep(1.0)
        assert (await desk.conversation(conversation_id))["status"] == "queued"
    async with running(app, tmp_path / "yes"):
        assert (await ended(desk, conversation_id))["status"] == "completed"
