"""What a newcomer's workspace holds, and that starting again changes nothing of it."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Any, NoReturn

import attrs
import httpx2
import pytest
from tests.server.conftest import client_for

from bolti_server.bootstrap import seeding
from bolti_server.bootstrap.seeding import AGENT_NAME, Seeded, seed
from bolti_server.simulated.conversation import small_talk
from bolti_server.simulated.phone import PhoneDown
from bolti_server.simulated.rules import Rules
from bolti_server.worker_api.messages import LlmRule, RuleTool
from bolti_server.world import World


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "seed.json"


async def rows(world: World) -> dict[str, list[Any]]:
    """Everything that seeding writes, as it is (when a key was last used is not seeding's)."""
    tables = ("organizations", "workspaces", "agents", "agent_versions", "numbers", "trunks",
              "agent_phone_numbers", "ledger_transactions", "ledger_accounts")  # fmt: skip
    async with world.db.transaction() as tx:
        found = {
            table: [dict(row) for row in await tx.fetch(f"select * from {table} order by 1, 2")]
            for table in tables
        }
        found["api_keys"] = [
            dict(row) for row in await tx.fetch("select id, revoked_at from api_keys order by 1")
        ]
    return found


async def asked(app: Any, seeded: Seeded, path: str) -> httpx2.Response:
    async with client_for(app, seeded.api_key) as client:
        return await client.get(path)


async def test_a_newcomer_has_an_agent_two_kinds_of_numbers_money_and_a_key(
    world: World, app: Any, file: Path
) -> None:
    seeded = await seed(world, file)
    agent = (await asked(app, seeded, f"/workspaces/current/agents/{seeded.agent_id}")).json()
    assert (agent["name"], agent["required_variables"]) == (AGENT_NAME, [])
    assert {agent[kind]["provider"] for kind in ("stt", "llm", "tts")} == {"simulated"}
    numbers = (await asked(app, seeded, "/workspaces/current/numbers")).json()["data"]
    owned = [number for number in numbers if number["assignment"]]
    assert [number["phone_number"] for number in owned] == [seeded.from_number]
    assert owned[0]["assignment"]["agent_id"] == seeded.agent_id
    assert len(numbers) > len(owned), "the README's second snippet needs a free one"
    assert all(number["simulated"] for number in numbers)
    async with world.db.transaction() as tx:
        ledgers = await tx.fetch(
            "select ledger from ledger_accounts where kind = 'available' and balance_micros > 0"
        )
    assert {row["ledger"] for row in ledgers} == {"live", "test"}


async def test_repeating_changes_nothing(world: World, file: Path) -> None:
    first = await seed(world, file)
    before, written = await rows(world), file.stat().st_mtime_ns
    assert await seed(world, file) == first
    assert await rows(world) == before
    assert file.stat().st_mtime_ns == written


async def test_the_key_is_kept_where_only_its_owner_can_read_it(world: World, file: Path) -> None:
    seeded = await seed(world, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert seeded.api_key in file.read_text()


@pytest.mark.parametrize("content", [None, "", '{"api_key"'])
async def test_a_lost_key_is_replaced_and_nothing_else(
    world: World, app: Any, file: Path, content: str | None
) -> None:
    first = await seed(world, file)
    before = await rows(world)
    file.unlink()
    if content is not None:
        file.write_text(content)
    second = await seed(world, file)
    assert attrs.evolve(second, api_key=first.api_key) == first
    assert second.api_key != first.api_key
    after = await rows(world)
    assert len(after.pop("api_keys")) == 2
    assert after == {table: each for table, each in before.items() if table != "api_keys"}
    assert (await asked(app, second, "/workspaces/current")).status_code == 200
    assert (await asked(app, first, "/workspaces/current")).status_code == 401


async def test_a_revoked_key_is_replaced(world: World, app: Any, file: Path) -> None:
    first = await seed(world, file)
    async with world.db.transaction() as tx:
        await tx.execute("update api_keys set revoked_at = bolti_now()")
    second = await seed(world, file)
    assert second.api_key != first.api_key
    assert (await asked(app, second, "/workspaces/current")).status_code == 200


async def test_what_the_user_changed_stays_and_what_he_deleted_comes_back(
    world: World, app: Any, file: Path
) -> None:
    first = await seed(world, file)
    agents = "/workspaces/current/agents"
    async with client_for(app, first.api_key) as client:
        await client.patch(f"{agents}/{first.agent_id}", json={"name": "Mine", "goal": "Sell."})
        made = (await client.post(agents, json={"name": "Other"})).json()
        (number,) = [
            each for each in (await client.get("/workspaces/current/numbers")).json()["data"]
            if each["assignment"]
        ]  # fmt: skip
        moved = await client.post(
            f"{agents}/{made['id']}/phone-numbers", json={"number_id": number["id"]}
        )
        assert moved.status_code == 201
    second = await seed(world, file)
    assert second.agent_id == first.agent_id
    assert second.from_number != first.from_number  # the moved one stays where the user put it
    async with client_for(app, first.api_key) as client:
        assert (await client.get(f"{agents}/{first.agent_id}")).json()["name"] == "Mine"
        assert (await client.delete(f"{agents}/{first.agent_id}")).status_code == 204
    third = await seed(world, file)
    assert third.agent_id != first.agent_id
    assert third.api_key == first.api_key


async def test_a_file_of_another_database_is_not_believed(
    world: World, app: Any, file: Path
) -> None:
    file.write_text(
        '{"workspace_id": "ws_gone", "agent_id": "agent_gone", "api_key": "bolti_sk_gone", "organization_id": "x"}'
    )
    seeded = await seed(world, file)
    assert (await asked(app, seeded, f"/workspaces/{seeded.workspace_id}")).status_code == 200


class ScriptedAgent:
    """A Phone for the simulated callee, with the seeded agent's rules at the other end: a call without its sound."""

    def __init__(self, tools: set[str]) -> None:
        rules = [
            LlmRule(
                hear=rule.hear,
                say=rule.say,
                tool=None if rule.tool is None else RuleTool(name=rule.tool.name, arguments=rule.tool.arguments),
            )
            for rule in seeding.RULES
        ]  # fmt: skip
        self._rules = Rules(rules, seeding.DEFAULT_REPLY)
        self._tools = tools
        self._says: list[str] = [seeding.GREETING]
        self.lines: list[str] = []
        self.called: list[str] = []
        self.has_hung_up = False

    async def wait_for_agent(self, *, patience_ms: int) -> str | None:
        said = self._says.pop(0) if self._says else None
        if said is not None:
            self.lines.append(f"agent: {said}")
        return said

    async def hear_voice(self, voiced_ms: int, *, patience_ms: int) -> bool:
        return True

    async def wait(self, ms: int) -> None:
        pass

    async def press(self, keys: str) -> None:
        pass

    async def keys(self, *, patience_ms: int) -> str:
        return ""

    async def noise(self, level: float, ms: int | None = None) -> None:
        pass

    async def beep(self, ms: int = 0) -> None:
        pass

    async def hang_up(self) -> NoReturn:
        raise PhoneDown

    async def say(self, text: str) -> None:
        if self.has_hung_up:
            return
        self.lines.append(f"callee: {text}")
        answer = self._rules.answer(text, self._tools, has_result=False)
        if answer.tool is not None:
            self.called.append(answer.tool)
            self.has_hung_up = answer.tool == "cut_call"
            if not self.has_hung_up:
                answer = self._rules.answer(text, self._tools, has_result=True)
        if answer.say:
            self._says.append(answer.say)


@pytest.mark.parametrize("has_tool", [True, False])
async def test_the_agent_holds_a_whole_conversation_with_the_callee_and_hangs_up(
    has_tool: bool,
) -> None:
    agent = ScriptedAgent({"cut_call", "check_delivery"} if has_tool else {"cut_call"})
    await small_talk(agent)
    assert agent.called == (["check_delivery", "cut_call"] if has_tool else ["cut_call"])
    assert agent.has_hung_up
    spoken = [line.partition(": ")[2] for line in agent.lines]
    assert len(spoken) == len(set(spoken)), f"somebody repeats himself: {agent.lines}"
    assert 6 <= len(spoken) <= 12
    assert re.search("goodbye", agent.lines[-1], re.IGNORECASE)
