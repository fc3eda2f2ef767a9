"""Every number of the simulated network and every scenario of the library, unchanged, in real rooms."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from tests.stack.support.calls import Caller, end_of, rule
from tests.stack.support.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "examples" / "scenarios"
AT_ONCE = 6
LIBRARY_SECONDS = 200
NUMBER_SECONDS = 120
RINGS_SECONDS = 2

# Digits → (status, hangup code): what the simulated line makes of them (product.md, section 12).
ENDS: dict[str, tuple[str, str]] = {
    "00": ("completed", "agent_hangup"),
    "01": ("busy", "busy"),
    "02": ("no_answer", "no_answer"),
    "03": ("rejected", "declined"),
    "04": ("failed", "invalid_number"),
    "05": ("failed", "unreachable"),
    "06": ("completed", "voicemail"),
    "07": ("completed", "remote_hangup"),
    "08": ("completed", "agent_hangup"),
    "09": ("completed", "silence_timeout"),
    "10": ("completed", "agent_hangup"),
    "11": ("failed", "provider_unavailable"),
    "12": ("failed", "provider_rate_limited"),
    "13": ("completed", "agent_hangup"),
    "14": ("completed", "agent_hangup"),
    "15": ("failed", "outcome_unknown"),
    "16": ("completed", "agent_hangup"),
    "17": ("completed", "agent_hangup"),
}
RULES = (
    rule("press 1", "One moment.", "send_dtmf", digits="1"),
    rule(r"goodbye|that works|stop calling|call me back", "Goodbye!", "cut_call"),
)
# What some of them need besides.
SETTINGS: dict[str, dict[str, Any]] = {
    "02": {"limits": {"ring_timeout_seconds": RINGS_SECONDS}},
    "06": {"is_answering_machine_detection_enabled": True, "voicemail": {"behaviour": "hang_up"}},
    "09": {"limits": {"silence_timeout_seconds": 5}},
    "10": {"first_message": None, "built_in_tools": ["cut_call", "send_dtmf"]},
}


async def test_every_number_ends_in_a_room_as_it_does_on_the_simulated_line(caller: Caller) -> None:
    assert await ends_of(caller, list(ENDS)) == ENDS


async def ends_of(
    caller: Caller, numbers: list[str], *, at_once: int = AT_ONCE
) -> dict[str, tuple[str, str]]:
    """Of calls to those numbers, by their last two digits."""
    free = asyncio.Semaphore(at_once)
    talker = await caller.agent(*RULES)

    async def call(digits: str) -> tuple[str, str]:
        async with free:
            settings = SETTINGS.get(digits)
            agent = await caller.agent(*RULES, **settings) if settings else talker
            placed = await caller.place(agent, to_number=f"+120255501{digits}")
            return end_of(await caller.ended(placed, NUMBER_SECONDS))

    ends = await asyncio.gather(*map(call, numbers))
    return dict(zip(numbers, ends, strict=True))


async def test_the_library_of_scenarios_passes_in_rooms(stack: Stack, tmp_path: Path) -> None:
    await library_passes(stack, tmp_path / "report.xml")
    lines = await stack.rows("select distinct line from conversations where script is not null")
    assert [row["line"] for row in lines] == ["room"]


async def library_passes(stack: Stack, junit: Path, *, at_once: int = AT_ONCE) -> None:
    """`bolti test` as a user runs it."""
    command = [sys.executable, "-m", "bolti", "test", str(LIBRARY), "--line", "room"]
    command += ["--parallel", str(at_once), "--junit", str(junit)]
    key = {"BOLTI_API_KEY": stack.api_key, "BOLTI_BASE_URL": stack.server_url}
    running = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **key, "BOLTI_WORKSPACE_ID": stack.workspace_id},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await asyncio.wait_for(running.communicate(), LIBRARY_SECONDS)
    assert running.returncode == 0, told.decode()
    assert told.decode().count("PASS") == len(list(LIBRARY.glob("*.yaml"))) == 12
    assert ET.parse(junit).getroot().get("tests") == "12"
