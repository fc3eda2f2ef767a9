"""Calls side by side: agents of a test's own, callees' numbers that nobody else calls, and what became of each call."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import attrs
from tests.stack.support.checks import until
from tests.stack.support.stack import Stack

from bolti import AsyncBolti, Conversation, NotFound, TurnToolCall

ENDS_SECONDS = 60.0
BEGIN_EVERY_SECONDS = 2.0
AT_ONCE = 5  # on two cores, each with an agent, a callee and the media between them
# Of the simulated network, and no number of a workspace. One live call to a callee and workspace: every call of the suite
# takes the next one and names its scenario, or the steps of its callee.
_callees = itertools.cycle([f"+120255501{index}" for index in range(20, 50)])
SIMULATED: dict[str, Any] = {
    "stt": {"provider": "simulated"},
    "tts": {"provider": "simulated"},
}


def rule(hear: str, say: str, tool: str | None = None, **arguments: Any) -> dict[str, Any]:
    """Of the simulated model: what it says, and which tool it calls, when it hears that."""
    call = {"tool": {"name": tool, "arguments": arguments}} if tool else {}
    return {"hear": hear, "say": say, **call}


def callee(*steps: str | dict[str, Any], expect: Sequence[dict[str, Any]] = ()) -> str:
    """A scenario whose callee does this (JSON is YAML)."""
    expectations = {"expect": list(expect)} if expect else {}
    return json.dumps({"name": "callee", "callee": list(steps), **expectations})


# Talks for as long as a test needs it: says its word now and then, and never hangs up first.
PATIENT = callee(
    "answer",
    *[{"wait_for_agent": 10_000}, {"say": "Go on, please."}] * 12,
    {"wait_for_hang_up": 30_000},
)


@attrs.frozen
class Caller:
    stack: Stack
    bolti: AsyncBolti
    _agents: list[str] = attrs.Factory(list)
    _placing: asyncio.Lock = attrs.Factory(asyncio.Lock)

    async def agent(self, *rules: dict[str, Any], **settings: Any) -> str:
        """An agent of this test's own; its id."""
        llm = {"provider": "simulated", "rules": list(rules), "default_reply": "I see."}
        wanted = {
            "name": f"Agent {len(self._agents)}",
            "first_message": "Hello, this is Bolti.",
            **SIMULATED,
            "llm": llm,
            **settings,
        }
        made = await self.bolti.agents.create(**wanted)
        self._agents.append(made.id)
        return made.id

    async def number(self, index: int = 0) -> str:
        """The id of a number of the workspace, on the simulated network; outbound calls come from the first."""
        found = [each async for each in self.bolti.numbers.list(limit=100) if each.simulated]
        return sorted(found, key=lambda each: each.phone_number)[index].id

    async def place(
        self,
        agent_id: str,
        *,
        to_number: str | None = None,
        scenario: str | None = None,
        script: str | None = None,
        line: str = "room",
        number: int = 0,
        **more: Any,
    ) -> str:
        """A call in a room; its conversation's id. Without `to_number` to the next free callee. All agents call from one
        number: it is given to one after the other, and a call keeps its agent. `number`: another, for an agent that
        has to keep it."""
        simulation: dict[str, Any] = {"line": line}
        simulation |= {"scenario": scenario} if scenario else {}
        simulation |= {"script": script} if script else {}
        async with self._placing:
            await self.bolti.agent_phone_numbers.assign(
                agent_id, number_id=await self.number(number), direction="outbound"
            )
            call = await self.bolti.agents.outbound_call(
                agent_id, to_number=to_number or next(_callees), simulation=simulation, **more
            )
        return call.conversation_id

    async def ended(
        self, conversation_id: str, timeout_seconds: float = ENDS_SECONDS
    ) -> Conversation:
        return await self.bolti.conversations.wait_until_ended(
            conversation_id, timeout_seconds=timeout_seconds
        )

    async def all_ended(
        self, conversation_ids: Sequence[str], timeout_seconds: float = ENDS_SECONDS
    ) -> list[Conversation]:
        waits = [self.ended(each, timeout_seconds) for each in conversation_ids]
        return list(await asyncio.gather(*waits))

    async def reaches(
        self, conversation_id: str, status: str, timeout_seconds: float = 30
    ) -> Conversation:
        async def look() -> Conversation | None:
            found = await self.bolti.conversations.get(conversation_id)
            assert found.ended_at is None or found.status == status, found.hangup
            return found if found.status == status else None

        return await until(look, timeout_seconds, f"{conversation_id} is {status}")

    async def has_turns(
        self, conversation_id: str, count: int = 1, timeout_seconds: float = 40
    ) -> Conversation:
        """That many turns are on the record, and the call goes on."""

        async def look() -> Conversation | None:
            found = await self.bolti.conversations.get(conversation_id)
            assert found.ended_at is None, found.hangup
            return found if len(found.transcript) >= count else None

        return await until(look, timeout_seconds, f"{conversation_id} has {count} turns")

    async def is_handed_over(self, conversation_id: str) -> None:
        """Returns when callee and whoever was called in talk with each other."""

        async def look() -> bool:
            query = "select handed_over_at from conversations where id = $1"
            (row,) = await self.stack.rows(query, conversation_id)
            return row["handed_over_at"] is not None

        await until(look, 40, f"the two of {conversation_id} talk with each other")

    async def has_recording(
        self, conversation_id: str, timeout_seconds: float = 40
    ) -> Conversation:
        async def look() -> Conversation | None:
            found = await self.bolti.conversations.get(conversation_id)
            assert found.recording_status in ("pending", "available"), found.recording_detail
            return found if found.recording_status == "available" else None

        return await until(look, timeout_seconds, f"the recording of {conversation_id}")

    async def aclose(self) -> None:
        """The agents go, and with them their claim on a number."""
        for agent_id in self._agents:
            try:
                await self.bolti.agents.delete(agent_id)
            except NotFound:
                continue


def end_of(conversation: Conversation) -> tuple[str, str]:
    """(status, hangup code) of a call that is over."""
    assert conversation.hangup is not None
    return conversation.status, conversation.hangup.code


def tools_of(call: Conversation) -> list[TurnToolCall]:
    """In the order in which the agent called them."""
    return [tool for turn in call.transcript for tool in turn.tool_calls or []]


def seconds_between(earlier: str | None, later: str | None) -> float:
    """Of two instants of a record."""
    assert earlier is not None
    assert later is not None
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


Scenario = Callable[[Caller], Awaitable[Any]]


class SideBySide:
    """Audio runs at real time, so the calls of a module run at once, at most AT_ONCE of them: each scenario is a function
    that begins when there is room, one after another: an agent that begins takes a core for a second, in which the words
    of the others would break. `await of(scenario)` gives what it returned, or raises what it raised."""

    def __init__(
        self, caller: Caller, scenarios: Sequence[Scenario], *, at_once: int = AT_ONCE
    ) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._beginning = asyncio.Lock()
        self._tasks = {each: asyncio.create_task(self._play(each, caller)) for each in scenarios}

    async def _play(self, scenario: Scenario, caller: Caller) -> Any:
        async with self._places:
            async with self._beginning:
                await asyncio.sleep(BEGIN_EVERY_SECONDS)
            return await scenario(caller)

    async def of(self, scenario: Scenario) -> Any:
        return await self._tasks[scenario]

    async def stop(self) -> None:
        """Waits for all: whoever asks for one test alone still leaves nothing behind."""
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
