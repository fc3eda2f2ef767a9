"""Phone numbers, and which agent has them."""

from __future__ import annotations

from bolti import _operations as operations
from bolti._async.core import AsyncCore
from bolti._async.pages import AsyncListing
from bolti._models import AgentPhoneNumber, AvailableNumber, Number, NumberDirection, SortOrder
from bolti._sending import given


class AsyncNumbers:
    """`bolti.numbers`: the phone numbers that the workspace controls."""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    def list(
        self,
        *,
        is_assigned: bool | None = None,
        agent_id: str | None = None,
        country: str | None = None,
        phone_number: str | None = None,
        simulated: bool | None = None,
        trunk_id: str | None = None,
        sort: SortOrder | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> AsyncListing[Number]:
        """Numbers, newest first unless `sort` is "oldest", `limit` (1-100, default 20) to a page.

        `is_assigned`: only those that an agent has, or only free ones; `country`: ISO 3166-1 alpha-2, as in "US".
        """
        query = given(
            is_assigned=is_assigned,
            agent_id=agent_id,
            country=country,
            phone_number=phone_number,
            simulated=simulated,
            trunk_id=trunk_id,
            sort=sort,
            limit=limit,
            after=after,
        )
        return self._core.pages(operations.LIST_NUMBERS, query=query)

    async def get(self, number_id: str) -> Number:
        """The number, its trunk and its agent. Raises NotFound."""
        return await self._core.call(operations.GET_NUMBER, number_id=number_id)

    def available(
        self,
        *,
        country: str | None = None,
        contains: str | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> AsyncListing[AvailableNumber]:
        """Numbers that can be bought, in ascending order, `limit` (1-100, default 20) to a page.

        `country`: ISO 3166-1 alpha-2, as in "US"; `contains`: digits in a row. Costs are millionths of `currency` a month.
        """
        query = given(country=country, contains=contains, limit=limit, after=after)
        return self._core.pages(operations.LIST_AVAILABLE_NUMBERS, query=query)

    async def buy(self, *, phone_number: str, idempotency_key: str | None = None) -> Number:
        """Buys a number (E.164) and pays its first month; a simulated one is paid from the test ledger.

        Give it to an agent with `agent_phone_numbers.assign`. Raises NumberNotAvailable, PaymentRequired,
        InvalidPhoneNumber. Safe to repeat with the same `idempotency_key`.
        """
        return await self._core.call(
            operations.BUY_NUMBER,
            body=given(phone_number=phone_number),
            idempotency_key=idempotency_key,
        )

    async def release(self, number_id: str) -> None:
        """Gives the number back: its agent has it no more; calls in progress go on. Raises NotFound."""
        await self._core.call(operations.RELEASE_NUMBER, number_id=number_id)


class AsyncAgentPhoneNumbers:
    """`bolti.agent_phone_numbers`: numbers bound to an agent."""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    def list(
        self, agent_id: str, *, limit: int | None = None, after: str | None = None
    ) -> AsyncListing[AgentPhoneNumber]:
        """The agent's numbers, newest first, `limit` (1-100, default 20) to a page. Raises NotFound."""
        query = given(limit=limit, after=after)
        return self._core.pages(operations.LIST_AGENT_PHONE_NUMBERS, query=query, agent_id=agent_id)

    async def assign(
        self,
        agent_id: str,
        *,
        number_id: str,
        direction: NumberDirection | None = None,
        idempotency_key: str | None = None,
    ) -> AgentPhoneNumber:
        """Gives the number to the agent, for "inbound", "outbound" or "both" (the default).

        A number that is with another agent moves here; calls in progress keep their agent. Raises NotFound. Safe to
        repeat with the same `idempotency_key`.
        """
        return await self._core.call(
            operations.ASSIGN_PHONE_NUMBER,
            body=given(number_id=number_id, direction=direction),
            idempotency_key=idempotency_key,
            agent_id=agent_id,
        )

    async def unassign(self, agent_id: str, agent_phone_number_id: str) -> None:
        """Takes the number from the agent; calls in progress go on. Raises NotFound."""
        await self._core.call(
            operations.UNASSIGN_PHONE_NUMBER,
            agent_id=agent_id,
            agent_phone_number_id=agent_phone_number_id,
        )
