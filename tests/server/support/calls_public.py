"""What tests of placing and reading calls need: an agent with a number, and a look at what was made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import attrs
import httpx2

from bolti_server.base.clock import rfc3339
from bolti_server.base.db import encode_json
from bolti_server.calls import artifact_queries, moves, worker_queries
from bolti_server.calls.lifecycle import Fact, HangupCode
from bolti_server.contract import structs
from bolti_server.numbers.assigning import assign_number
from bolti_server.numbers.creating import create_simulated_number
from bolti_server.world import World

CALLEE = "+12025550100"
FROM_NUMBER = "+12025550199"
# Everything that placing a call could leave behind, by table.
TRACES = ("conversations", "ledger_holds", "events", "idempotency_records")


@attrs.frozen
class Desk:
    """An agent that can call, and the requests that a test makes of it."""

    workspace_id: str
    agent_id: str
    agent_phone_number_id: str
    client: httpx2.AsyncClient

    async def call(
        self, to_number: str = CALLEE, *, key: str | None = None, **body: Any
    ) -> httpx2.Response:
        """POST …/outbound-call; `key` is the Idempotency-Key."""
        return await self.send({"to_number": to_number, **body}, key=key)

    async def send(self, body: Mapping[str, Any], *, key: str | None = None) -> httpx2.Response:
        """The same with a body of any shape."""
        headers = {} if key is None else {"Idempotency-Key": key}
        return await self.client.post(self.path, json=body, headers=headers)

    async def placed(self, to_number: str = CALLEE, **body: Any) -> str:
        """The id of a call that was accepted."""
        answer = await self.call(to_number, **body)
        assert answer.status_code == 201, answer.text
        found: str = answer.json()["conversation_id"]
        return found

    async def conversation(self, conversation_id: str) -> dict[str, Any]:
        answer = await self.client.get(f"/workspaces/current/conversations/{conversation_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def change_agent(self, **changes: Any) -> None:
        answer = await self.client.patch(self.agent_path, json=changes)
        assert answer.status_code == 200, answer.text

    @property
    def agent_path(self) -> str:
        return f"/workspaces/current/agents/{self.agent_id}"

    @property
    def path(self) -> str:
        return f"{self.agent_path}/outbound-call"


async def make_desk(
    world: World,
    client: httpx2.AsyncClient,
    workspace_id: str,
    *,
    from_number: str = FROM_NUMBER,
    **agent: Any,
) -> Desk:
    """An agent of the workspace of `client`, with a simulated number for outbound calls."""
    answer = await client.post("/workspaces/current/agents", json={"name": "Front desk", **agent})
    assert answer.status_code == 201, answer.text
    agent_id = answer.json()["id"]
    binding_id = await assign(world, workspace_id, agent_id, from_number)
    return Desk(workspace_id, agent_id, binding_id, client)


async def assign(
    world: World, workspace_id: str, agent_id: str, number: str, direction: str = "outbound"
) -> str:
    """Id of the binding of a simulated number (made where it is missing) to the agent."""
    async with world.db.transaction() as tx:
        made = await create_simulated_number(tx, workspace_id, number)
        binding = await assign_number(tx, workspace_id, agent_id, made.id, direction)
    return binding.id


async def traces(world: World) -> dict[str, int]:
    """How many rows there are of everything that placing makes."""
    return {table: await world.db.fetchval(f"select count(*) from {table}") for table in TRACES}


async def set_balance(world: World, organization_id: str, ledger: str, micros: int) -> None:
    """Makes `micros` available, booked against funding so that the ledger still adds up."""
    async with world.db.transaction() as tx:
        await tx.execute(
            """with gap as (
                   select organization_id, $3::bigint - balance_micros as micros from ledger_accounts
                   where organization_id = $1 and ledger = $2 and kind = 'available'
               ), booked as (
                   insert into ledger_transactions (id, organization_id, ledger, kind, reference)
                   select 'txn_' || md5(clock_timestamp()::text), $1, $2, 'correction',
                          'test:' || clock_timestamp()::text
                   returning id
               ), sides as (
                   select a.id, case a.kind when 'available' then gap.micros else -gap.micros end as micros
                   from ledger_accounts a cross join gap
                   where a.organization_id = $1 and a.ledger = $2 and a.kind in ('available', 'funding')
               ), moved as (
                   update ledger_accounts a set balance_micros = balance_micros + sides.micros
                   from sides where a.id = sides.id
               )
               insert into ledger_entries (transaction_id, account_id, amount_micros)
               select booked.id, sides.id, sides.micros from booked cross join sides""",
            organization_id,
            ledger,
            micros,
        )


async def set_limit(world: World, workspace_id: str, calls: int) -> None:
    """How many calls the workspace may have at one time."""
    async with world.db.transaction() as tx:
        await tx.execute(
            "update workspaces set max_concurrent_calls = $2 where id = $1", workspace_id, calls
        )


def faults(answer: httpx2.Response) -> set[tuple[str, str]]:
    """(pointer, code) of everything that a problem lists."""
    return {(each["pointer"], each["code"]) for each in answer.json()["errors"]}


def turn(index: int, role: str, text: str, start_ms: int, **more: Any) -> structs.Turn:
    """A turn of two seconds; `end_to_end_ms` among `more` makes it a measured one."""
    end_to_end_ms = more.pop("end_to_end_ms", None)
    latency = None
    if end_to_end_ms is not None:
        latency = structs.TurnLatency(
            end_of_turn_ms=310,
            transcription_ms=42,
            llm_first_token_ms=182,
            tts_first_audio_ms=94,
            playback_ms=21,
            end_to_end_ms=end_to_end_ms,
        )
    return structs.Turn(
        index=index,
        role=role,
        text=text,
        start_ms=start_ms,
        end_ms=start_ms + 2000,
        is_interrupted=more.pop("is_interrupted", False),
        latency=latency,
        tool_calls=more.pop("tool_calls", []),
        dtmf=more.pop("dtmf", None),
    )


async def answer_call(world: World, conversation_id: str) -> None:
    """Claimed, ready, dialed, ringing, answered: as a worker's reports would bring it there."""
    async with world.db.transaction() as tx:
        await worker_queries.claim_of_any_workspace(
            tx,
            "worker_test",
            lines=["audio"],
            limit=100,
            most_dispatches=2,
            second_dispatch_seconds=7,
            ready_seconds=15,
        )
        call = await worker_queries.lock_call_of_any_workspace(tx, conversation_id)
        assert call is not None
        for fact in (Fact.AGENT_READY, Fact.INTENT, Fact.RINGING, Fact.ANSWERED):
            call = (await moves.move(tx, world, call, fact, nonce="of the test")).call


async def say(world: World, workspace_id: str, conversation_id: str, *turns: structs.Turn) -> None:
    """Adds turns to the transcript."""
    async with world.db.transaction() as tx:
        for each in turns:
            await worker_queries.save_turn(
                tx,
                workspace_id,
                conversation_id,
                turn_index=each.index,
                role=each.role,
                body=encode_json(each),
            )


async def keep_recording(
    world: World, workspace_id: str, conversation_id: str, content: bytes
) -> None:
    """What a worker uploaded while the call lasted; the end makes it available."""
    path = f"{workspace_id}/2026/11/{conversation_id}.ogg"
    await world.objects.put(path, content)
    async with world.db.transaction() as tx:
        await artifact_queries.insert_part(
            tx, workspace_id, conversation_id, epoch=1, path=path, size_bytes=len(content)
        )


async def end_call(
    world: World,
    workspace_id: str,
    conversation_id: str,
    code: HangupCode = HangupCode.AGENT_HANGUP,
    **more: Any,
) -> None:
    async with world.db.transaction() as tx:
        assert await moves.end(tx, world, workspace_id, conversation_id, code, **more)


async def instant_in(world: World, seconds: float) -> str:
    """An instant so many seconds from the database's now."""
    now: datetime = await world.db.fetchval("select bolti_now()")
    return rfc3339(now + timedelta(seconds=seconds))


async def is_claimable(world: World, conversation_id: str) -> bool:
    """Whether a worker may take it, and its money is held."""
    found: bool = await world.db.fetchval(
        """select status = 'queued' and next_at is null and exists (
               select from ledger_holds where reference = c.id and resolution is null)
           from conversations c where id = $1""",
        conversation_id,
    )
    return found
