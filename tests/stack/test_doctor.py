"""`bolti-server doctor` beside a real livekit-server: what it says is what is so."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.stack.support.media import LOOPBACK, MEDIA_ADDRESS, free_port, is_listening
from tests.stack.support.processes import Child, wait_until_up
from tests.stack.support.stack import Stack

SPARE_UDP_PORT = 7992


async def examined(stack: Stack, *options: str, **changed: str) -> dict[str, str]:
    """Sign by check, of a doctor with the stack's settings but for `changed`; its exit code fits."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bolti_server.entrypoints.cli",
        "doctor",
        "--json",
        *options,
        env={**stack.environment, **changed},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        told, complaints = await process.communicate()
    assert told, complaints.decode()
    found = json.loads(told)
    assert found["is_well"] is (process.returncode == 0), complaints.decode()
    return {each["check"]: each["sign"] for each in found["checks"]}


async def test_a_whole_stack_is_well(stack: Stack) -> None:
    await stack.wait_for_workers()
    found = await examined(stack)
    for _ in range(10):  # workers tell of themselves when they claim, at least every ten seconds
        if found["room workers"] == "ok":
            break
        await asyncio.sleep(2)
        found = await examined(stack)
    assert set(found.values()) == {"ok"}, found
    assert {"room workers", "auto_create", "sip service", "redis", "livekit clock"} <= set(found)
    assert await stack.rows("select 1 from workers where name = 'doctor'") == []


async def test_its_probes_leave_nothing_and_dial_nobody(stack: Stack) -> None:
    before = len(await stack.dials())
    await examined(stack)
    dials = (await stack.dials())[before:]
    assert [dial for dial in dials if dial.get("outcome") != "not_resolved"] == []


async def test_a_phone_network_that_is_gone_is_told(stack: Stack) -> None:
    stack.phone_network.stop()
    found = await examined(stack)
    assert found["sip service"] == "problem"
    assert found["livekit"] == "ok"


async def test_a_livekit_that_is_gone_is_told(stack: Stack) -> None:
    stack.livekit.child.stop()
    found = await examined(stack, "--worker")
    assert found["livekit"] == "problem"
    assert found["auto_create"] == "not checked"


async def test_a_real_livekit_with_no_sip_service_is_told(stack: Stack) -> None:
    """With Redis, and with SIP requests sent to LiveKit itself, which finds nobody to hand them to."""
    found = await examined(stack, "--worker", BOLTI_LIVEKIT_SIP_URL=stack.livekit.url)
    assert (found["redis"], found["sip service"]) == ("ok", "problem")


async def test_a_wrong_secret_is_told(stack: Stack) -> None:
    found = await examined(stack, "--worker", LIVEKIT_API_SECRET="w" * 40)
    assert (found["livekit"], found["auto_create"]) == ("problem", "not checked")


@pytest.fixture
def poor_livekit(stack: Stack) -> Iterator[str]:
    """One that makes no rooms and has no Redis: its address."""
    port = free_port()
    configuration = {
        "port": port,
        "bind_addresses": [LOOPBACK],
        "rtc": {
            "tcp_port": 0,
            "udp_port": SPARE_UDP_PORT,
            "node_ip": MEDIA_ADDRESS,
            "use_external_ip": False,
            "interfaces": {"includes": ["v0"]},
        },
        "keys": {stack.livekit.key: stack.livekit.secret},
        "room": {"auto_create": False},
    }
    file: Path = stack.folder / "poor.yaml"
    file.write_text(yaml.safe_dump(configuration), "utf-8")
    command = ["livekit-server", "--config", str(file)]
    child = Child("poor-livekit", command, dict(os.environ), stack.folder / "poor-livekit.log")
    child.start()
    try:
        wait_until_up(child, lambda: is_listening(port))
        yield f"ws://{LOOPBACK}:{port}"
    finally:
        child.stop()


async def test_a_livekit_that_makes_no_rooms_and_has_no_redis_is_told(
    stack: Stack, poor_livekit: str
) -> None:
    changed = {"LIVEKIT_URL": poor_livekit, "BOLTI_LIVEKIT_SIP_URL": poor_livekit}
    found = await examined(stack, "--worker", **changed)
    assert found["livekit"] == "ok"
    assert (found["auto_create"], found["redis"]) == ("problem", "problem")
