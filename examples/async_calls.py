"""Several calls at once with AsyncBolti, each to a simulated callee that behaves in its own way."""

import asyncio

from bolti import AsyncBolti

CALLEES = {"+12025550101": "busy", "+12025550103": "declines", "+12025550104": "not a number"}


async def ring(bolti: AsyncBolti, agent_id: str, number: str, values: dict[str, str]) -> str:
    call = await bolti.agents.outbound_call(agent_id, to_number=number, variable_values=values)
    ended = await bolti.conversations.wait_until_ended(call.conversation_id, timeout_seconds=90)
    return ended.hangup.code if ended.hangup else ended.status


async def main() -> None:
    async with AsyncBolti() as bolti:
        agent = (await bolti.agents.list(is_active=True)).data[0]
        values = dict.fromkeys(agent.required_variables, "Asha")
        codes = await asyncio.gather(*(ring(bolti, agent.id, number, values) for number in CALLEES))
        for (number, behaviour), code in zip(CALLEES.items(), codes, strict=True):
            print(f"{number}  {behaviour:13} {code}")


asyncio.run(main())
