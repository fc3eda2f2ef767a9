"""The programs of docs/guides/phone-network.md run as they are printed, on the stack's own ports."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

from tests.stack.support.calls import Caller, rule
from tests.stack.test_inbound import ready_trunk

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "phone-network.md").read_text("utf-8")
PROGRAMS = dict(re.findall(r"<!-- test: ([^>]+?) -->\n```python\n(.*?)```", GUIDE, re.DOTALL))
GUIDE_S_URL = "http://127.0.0.1:7990"
AGENT = "Bolti's front desk"
OUR_NUMBER = "+918041230077"
PROGRAM_SECONDS = 90


async def run(caller: Caller, name: str, **environment: str) -> str:
    """What the program prints."""
    stack = caller.stack
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAMS[name].replace(GUIDE_S_URL, stack.phone_network_url),
        env={
            **os.environ,
            **stack.livekit.settings,
            "BOLTI_API_KEY": stack.api_key,
            "BOLTI_BASE_URL": stack.server_url,
            "BOLTI_WORKSPACE_ID": stack.workspace_id,
            **environment,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told, complaints = await asyncio.wait_for(running.communicate(), PROGRAM_SECONDS)
    assert running.returncode == 0, complaints.decode()
    return told.decode()


def test_every_program_of_the_guide_is_tested() -> None:
    assert GUIDE.count("```python") == len(PROGRAMS) == 3


async def test_a_simulated_number_is_called_through_a_room(caller: Caller) -> None:
    agent = await caller.agent(name=AGENT, first_message="Hello {{ name }}.")
    await caller.bolti.agent_phone_numbers.assign(
        agent, number_id=await caller.number(), direction="outbound"
    )
    assert await run(caller, "call out") == "busy busy 486\n"


async def test_an_agent_is_called(caller: Caller) -> None:
    agent = await caller.agent(rule("appointment", "Goodbye!", "cut_call"))
    await ready_trunk(caller, OUR_NUMBER, agent)
    printed = await run(caller, "be called", MY_NUMBER=OUR_NUMBER)
    assert printed.startswith("200 None in-")
    listed = await caller.bolti.conversations.list(direction="inbound", to_number=OUR_NUMBER)
    await caller.ended(listed.data[0].id)


async def test_it_is_livekit_s_own_api(caller: Caller) -> None:
    assert await run(caller, "without Bolti") == "603 Decline\n"
