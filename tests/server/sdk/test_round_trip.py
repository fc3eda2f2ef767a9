"""The client against the real app, over a real socket: what both sides make of the contract fits together."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import uvicorn
from litestar import Litestar
from tests.server.conftest import Home

import bolti
from bolti import AsyncBolti, Bolti
from bolti_server.numbers.creating import create_simulated_number
from bolti_server.world import World

FROM, TO = "+12025550199", "+12025550100"


@pytest.fixture
async def base_url(app: Litestar) -> AsyncIterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    await asyncio.wait_for(running, 10)


@pytest.fixture
async def client(base_url: str, home: Home) -> AsyncIterator[AsyncBolti]:
    async with AsyncBolti(
        api_key=home.api_key, base_url=base_url, workspace_id=home.workspace_id
    ) as made:
        yield made


@pytest.fixture
async def agent(client: AsyncBolti, world: World, home: Home) -> bolti.Agent:
    """One that can place calls from a simulated number."""
    async with world.db.transaction() as tx:
        await create_simulated_number(tx, home.workspace_id, FROM)
    made = await client.agents.create(
        name="Asha's helper",
        first_message="Hello {{ name }}.",
        stt={"provider": "simulated"},
        llm={"provider": "simulated", "rules": [{"hear": "bye", "tool": {"name": "cut_call"}}]},
        tts={"provider": "simulated", "voice": "modem"},
    )
    (number,) = [number async for number in client.numbers.list()]
    assigned = await client.agent_phone_numbers.assign(
        made.id, number_id=number.id, direction="outbound"
    )
    assert assigned.phone_number == FROM
    return made


async def test_a_call_is_placed_followed_and_ended(client: AsyncBolti, agent: bolti.Agent) -> None:
    call = await client.agents.outbound_call(
        agent.id, to_number=TO, variable_values={"name": "Priya"}
    )
    assert call.simulated
    waiting = asyncio.create_task(
        client.conversations.wait_until_ended(call.conversation_id, timeout_seconds=30)
    )
    ended = await client.conversations.end(call.conversation_id)
    assert ended.id == call.conversation_id
    conversation = await waiting
    assert conversation.status == "cancelled"
    assert conversation.hangup is not None
    assert conversation.hangup.code == "cancelled_by_user"
    listed = [each async for each in client.conversations.list(status="cancelled")]
    assert [each.id for each in listed] == [call.conversation_id]
    async with client.events.stream(conversation_id=call.conversation_id) as events:
        async for event in events:
            if event.type == "conversation.ended":
                assert isinstance(event, bolti.ConversationEvent)
                assert event.data.object.hangup == conversation.hangup
                break
    with pytest.raises(bolti.RecordingNotAvailable):
        await client.conversations.recording(call.conversation_id, wait_seconds=0)


async def test_a_repeated_key_places_one_call(client: AsyncBolti, agent: bolti.Agent) -> None:
    values = {"name": "Priya"}
    first, second = [
        await client.agents.outbound_call(
            agent.id, to_number=TO, variable_values=values, idempotency_key="order-7"
        )
        for _ in range(2)
    ]
    assert first == second
    with pytest.raises(bolti.IdempotencyMismatch):
        await client.agents.outbound_call(
            agent.id, to_number=TO, variable_values={"name": "Ravi"}, idempotency_key="order-7"
        )
    with pytest.raises(bolti.CalleeAlreadyInCall) as caught:
        await client.agents.outbound_call(agent.id, to_number=TO, variable_values=values)
    assert caught.value.conversation_id == first.conversation_id
    await client.conversations.end(first.conversation_id)


async def test_refusals_arrive_as_their_classes(client: AsyncBolti, agent: bolti.Agent) -> None:
    with pytest.raises(bolti.MissingVariables) as missing:
        await client.agents.outbound_call(agent.id, to_number=TO)
    assert missing.value.missing == ("name",)
    with pytest.raises(bolti.ApiError) as several:
        await client.agents.outbound_call(agent.id, to_number="12")
    assert {"invalid_phone_number", "missing_variable"} <= several.value.codes
    with pytest.raises(bolti.NotFound):
        await client.agents.get("agent_01kavqm3t8e6zb2c4d5f7g9h1a")
    with pytest.raises(bolti.ValidationFailed):
        await client.agents.update(agent.id, name=" ")
    with pytest.raises(bolti.ApiError):
        await client.agents.get("../../etc")
    await client.agents.delete(agent.id)
    with pytest.raises(bolti.NotFound):
        await client.agents.delete(agent.id)


async def test_the_synchronous_face_does_the_same(base_url: str, home: Home) -> None:
    def everything() -> None:
        with Bolti(api_key=home.api_key, base_url=f"{base_url}/v1") as client:
            assert client.health.get().status == "ok"
            assert client.workspace.get().id == home.workspace_id
            assert client.workspace.update(name="Sync").name == "Sync"
            agents = [client.agents.create(name=f"agent {number}") for number in range(5)]
            found = [each.id for each in client.agents.list(limit=2)]
            assert found == [each.id for each in reversed(agents)]
            tool = client.tools.create(
                name="status", description="Tells.", url="https://example.com/{{ id }}"
            )
            with pytest.raises(bolti.NameTaken):
                client.tools.create(name="status", description="x", url="https://example.com/")
            client.tools.delete(tool.id)
            endpoint = client.webhook_endpoints.create(
                url="https://example.com/hook", event_types=["test.ping"]
            )
            delivery = client.webhook_endpoints.test(endpoint.id)
            assert [each.id for each in client.webhook_endpoints.deliveries(endpoint.id)] == [
                delivery.id
            ]
            key = client.api_keys.create(name="reader", scopes=["agents:read"])
            with Bolti(api_key=key.token, base_url=base_url) as reader:
                assert len(list(reader.agents.list())) == 5
                with pytest.raises(bolti.InsufficientScope) as caught:
                    reader.agents.create(name="no")
                assert caught.value.required_scope == "agents:write"
                client.api_keys.revoke(key.id)
            assert {each.provider for each in client.catalogue.get().llm} >= {"openai", "simulated"}
            balance = client.billing.balance(ledger="live")
            moves = list(client.billing.ledger(ledger="live"))
            assert balance.available_micros == sum(each.available_change_micros for each in moves)
            event = next(iter(client.events.list(types=["test.ping"])))
            assert isinstance(event, bolti.TestPingEvent)

    await asyncio.to_thread(everything)


async def test_a_stranger_is_told_so(base_url: str) -> None:
    async with AsyncBolti(api_key="bolti_sk_nobody", base_url=base_url) as client:
        with pytest.raises(bolti.Unauthenticated, match="api_key"):
            await client.agents.list()
