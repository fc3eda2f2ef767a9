"""Agents, and the calls that they place."""

from __future__ import annotations

from datetime import datetime
from typing import Unpack

from bolti import _operations as operations
from bolti._async.core import AsyncCore
from bolti._async.pages import AsyncListing
from bolti._models import Agent, OutboundCall, SortOrder, WebCall, WhenLimited
from bolti._requests import AgentCreate, AgentUpdate, Instant, Simulation, Variables
from bolti._sending import given


class AsyncAgents:
    """`bolti.agents`: configured personas."""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    async def create(
        self, *, idempotency_key: str | None = None, **agent: Unpack[AgentCreate]
    ) -> Agent:
        """Makes an agent. Only `name` is needed; the members are those of `AgentCreate`.

        `{{ name }}` and `{{ name | default: "there" }}` in its texts are variables. Raises ValidationFailed where a
        provider, model or language is not in the catalogue. Safe to repeat with the same `idempotency_key`.
        """
        return await self._core.call(
            operations.CREATE_AGENT, body=agent, idempotency_key=idempotency_key
        )

    def list(
        self,
        *,
        is_active: bool | None = None,
        name: str | None = None,
        sort: SortOrder | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> AsyncListing[Agent]:
        """Agents, newest first unless `sort` is "oldest", `limit` (1-100, default 20) to a page; `name` finds exactly
        that one."""
        query = given(is_active=is_active, name=name, sort=sort, limit=limit, after=after)
        return self._core.pages(operations.LIST_AGENTS, query=query)

    async def get(self, agent_id: str) -> Agent:
        """The agent in its newest version. Raises NotFound."""
        return await self._core.call(operations.GET_AGENT, agent_id=agent_id)

    async def update(
        self, agent_id: str, *, expected_version: int | None = None, **changes: Unpack[AgentUpdate]
    ) -> Agent:
        """Changes what is given (members of `AgentUpdate`) and makes a new version; calls in progress keep theirs.

        None clears what can be empty. Settings objects (`stt`, `llm`, `tts`, `turn`, `limits`) and lists are replaced
        whole. `expected_version`: the `version` that the change is meant for, so that nobody's work is overwritten.
        Raises NotFound, ValidationFailed, PreconditionFailed (the agent is in another version by now). Without
        `expected_version`, repeating it ends in the same state.
        """
        return await self._core.call(
            operations.UPDATE_AGENT,
            body=changes,
            expected_version=expected_version,
            agent_id=agent_id,
        )

    async def delete(self, agent_id: str, *, expected_version: int | None = None) -> None:
        """Deletes it. Its numbers become free; calls in progress go on, and their records stay.

        Raises NotFound, and PreconditionFailed where it is in another version than `expected_version`.
        """
        await self._core.call(
            operations.DELETE_AGENT, expected_version=expected_version, agent_id=agent_id
        )

    async def outbound_call(
        self,
        agent_id: str,
        *,
        to_number: str,
        agent_phone_number_id: str | None = None,
        variable_values: Variables | None = None,
        scheduled_at: Instant | None = None,
        timezone: str | None = None,
        max_duration_seconds: int | None = None,
        when_limited: WhenLimited | None = None,
        queue_timeout_seconds: int | None = None,
        allow_concurrent_to_callee: bool | None = None,
        simulation: Simulation | None = None,
        idempotency_key: str | None = None,
    ) -> OutboundCall:
        """Places a call; answers as soon as it is committed. Follow it by its `conversation_id`.

        `to_number`: E.164, as in "+12025550100". `agent_phone_number_id`: the number to call from; may be left out where
        the agent has exactly one for outbound calls. `variable_values`: for the `{{ variables }}` of the agent.
        `scheduled_at`: an aware datetime or RFC 3339; a time without offset needs `timezone` (IANA). `when_limited`:
        "refuse" (the default) or "queue", for at most `queue_timeout_seconds`. `simulation`: a scenario of the simulated
        network, for numbers of its own.

        The number is dialed at most once, whatever happens; one key goes with all tries of this method. To repeat it
        yourself after a ConnectionFailed, hand over the `idempotency_key` that the exception carries.

        Raises MissingVariables, InvalidPhoneNumber, NumberNotAssigned, DestinationNotAllowed, AgentInactive,
        CalleeAlreadyInCall, PaymentRequired, OutsideCallingWindow, ConcurrencyLimitReached, NotFound: `errors` lists
        everything that is wrong at once.
        """
        body = given(
            to_number=to_number,
            agent_phone_number_id=agent_phone_number_id,
            variable_values=variable_values,
            scheduled_at=scheduled_at.isoformat()
            if isinstance(scheduled_at, datetime)
            else scheduled_at,
            timezone=timezone,
            max_duration_seconds=max_duration_seconds,
            when_limited=when_limited,
            queue_timeout_seconds=queue_timeout_seconds,
            allow_concurrent_to_callee=allow_concurrent_to_callee,
            simulation=simulation,
        )
        return await self._core.call(
            operations.PLACE_OUTBOUND_CALL,
            body=body,
            idempotency_key=idempotency_key,
            agent_id=agent_id,
        )

    async def web_call(
        self,
        agent_id: str,
        *,
        variable_values: Variables | None = None,
        max_duration_seconds: int | None = None,
        idempotency_key: str | None = None,
    ) -> WebCall:
        """Starts a call in a browser: hand `server_url` and `token` to the page, which joins with `livekit-client`
        (`room.connect(server_url, token)`) until `expires_at`. Follow it by its `conversation_id`. It is free.

        `variable_values`: for the `{{ variables }}` of the agent. `max_duration_seconds`: shortens the agent's limit.
        A page with a public key of its own (`api_keys.create(kind="public", …)`) needs no server for this.

        Raises MissingVariables, AgentInactive, MediaServerMissing, ConcurrencyLimitReached, NotFound. Safe to repeat
        with the same `idempotency_key`.
        """
        return await self._core.call(
            operations.START_WEB_CALL,
            body=given(variable_values=variable_values, max_duration_seconds=max_duration_seconds),
            idempotency_key=idempotency_key,
            agent_id=agent_id,
        )
