"""Whom to ask when a model fails reaches the worker in the agent's order."""

from __future__ import annotations

import httpx2
from tests.server.support.calls_public import Desk
from tests.server.support.worker_side import ScriptedWorker


async def test_a_worker_gets_the_agents_order_of_providers(
    client: httpx2.AsyncClient, desk: Desk, worker: ScriptedWorker
) -> None:
    order = {
        "stt_fallbacks": [{"provider": "deepgram", "model": "nova-2"}],
        "llm_fallbacks": [
            {"provider": "openai", "model": "gpt-4.1-mini"},
            {"provider": "simulated"},
        ],
        "tts_fallbacks": [{"provider": "simulated", "speed": 1.1}],
    }
    changed = await client.patch(f"/workspaces/current/agents/{desk.agent_id}", json=order)
    assert changed.status_code == 200, changed.text
    await desk.placed()
    spec = (await (await worker.claim()).spec()).json()
    assert [each["provider"] for each in spec["llm_fallbacks"]] == ["openai", "simulated"]
    assert [each["model"] for each in spec["stt_fallbacks"]] == ["nova-2"]
    assert spec["tts_fallbacks"][0]["speed"] == 1.1
