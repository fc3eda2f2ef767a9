"""The stack suite runs in a network namespace of its own: `python3 noxfile.py stack` makes it and runs pytest there.

Whatever a test did, afterwards no conversation is live, no room is open, nothing is spooled, no process is left over, no
room was dialed twice, and the invariants of every slice hold (support/checks.py), or the test fails.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import cast

import pytest
from tests.stack.support.calls import Caller
from tests.stack.support.checks import complaints, last_calls, live_conversations, until
from tests.stack.support.media import (
    LOOPBACK,
    MEDIA_ADDRESS,
    SIP_HEALTH_PORT,
    SIP_PORT,
    free_port,
    is_listening,
    livekit_sip,
)
from tests.stack.support.processes import Child, strays, wait_until_up
from tests.stack.support.stack import Stack

from bolti import AsyncBolti

INSTEAD = """

    TESTS IN tests/stack RUN IN A NETWORK NAMESPACE WITH A REAL LIVEKIT. NONE OF THEM WAS RUN. RUN INSTEAD:

        python3 noxfile.py stack            (or a part: python3 noxfile.py stack -k name)
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    if here and os.environ.get("BOLTI_STACK") != "inside":
        raise pytest.UsageError(INSTEAD)
    if here:  # whoever ends the suite ends its processes too
        signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything, with the stand-in as phone network. A test that kills a part may leave it dead."""
    made = Stack.prepare(tmp_path_factory.mktemp("stack"))
    try:
        made.start()
        yield made
    finally:
        made.stop()
    assert not strays(), "processes that outlived the whole stack"


@pytest.fixture(scope="module")
def real_sip(stack: Stack) -> Iterator[str]:
    """A real livekit-sip in place of the stand-in, for the tests of one module; the address that it listens on."""
    program = os.environ.get("BOLTI_STACK_LIVEKIT_SIP")
    if not program:
        pytest.skip("NO livekit-sip ON PATH: REAL SIP WAS NOT TRIED")
    service = livekit_sip(stack.folder, program, stack.redis, stack.livekit)
    service.start()
    try:
        wait_until_up(service, lambda: is_listening(SIP_HEALTH_PORT))
        stack.send_sip_to(stack.livekit.url)
        yield f"{MEDIA_ADDRESS}:{SIP_PORT}"
        stack.send_sip_to(None)
    finally:
        service.stop()


@pytest.fixture(scope="module")
def sip_exchange(stack: Stack, real_sip: str) -> Iterator[None]:
    """The callees of the simulated network sit behind a real livekit-sip, for the tests of one module."""
    port, folder = free_port(), stack.folder / f"exchange-{secrets.token_hex(3)}"
    folder.mkdir()
    environment = {**stack.environment, "EXCHANGE_PORT": str(port), "EXCHANGE_FOLDER": str(folder)}
    command = (sys.executable, "-m", "tests.stack.support.sip_exchange")
    child = Child("sip-exchange", command, environment, folder / "sip-exchange.log")
    child.start()
    try:
        wait_until_up(child, lambda: is_listening(port))
        stack.exchange_url = f"http://{LOOPBACK}:{port}"
        stack.send_sip_to(stack.exchange_url)
        yield
        stack.send_sip_to(stack.livekit.url)
    finally:
        stack.exchange_url = None
        child.stop()


@pytest.fixture(scope="session")
async def bolti(stack: Stack) -> AsyncIterator[AsyncBolti]:
    async with stack.client() as client:
        yield client


@pytest.fixture(scope="module")
async def caller(stack: Stack, bolti: AsyncBolti) -> AsyncIterator[Caller]:
    made = Caller(stack, bolti)
    yield made
    await made.aclose()


@pytest.fixture(autouse=True)
async def nothing_is_left(
    request: pytest.FixtureRequest, stack: Stack, bolti: AsyncBolti
) -> AsyncIterator[None]:
    """After each test; where a module's calls run side by side (SIDE_BY_SIDE), after all of them."""
    if _is_side_by_side(request.module):
        yield
        return
    await stack.wait_for_workers(1)
    yield
    await _judge(stack, bolti)


@pytest.fixture(scope="module", autouse=True)
async def nothing_is_left_of_the_module(
    request: pytest.FixtureRequest, stack: Stack, bolti: AsyncBolti
) -> AsyncIterator[None]:
    stack.module_began = time.time()
    if _is_side_by_side(request.module):
        await stack.wait_for_workers()
    yield
    if _is_side_by_side(request.module):
        await _judge(stack, bolti)


def _is_side_by_side(module: ModuleType) -> bool:
    return bool(getattr(module, "SIDE_BY_SIDE", False))


async def _judge(stack: Stack, bolti: AsyncBolti) -> None:
    stack.restore()
    found = await complaints(stack)
    if found:  # the next test shall not suffer for it
        await _clear(stack, bolti)
    assert not found, "\n".join(found)


async def _clear(stack: Stack, bolti: AsyncBolti) -> None:
    for row in await stack.rows("select id from conversations where ended_at is null"):
        await bolti.conversations.end(row["id"])

    async def is_over() -> bool:
        return not await live_conversations(stack)

    await until(is_over, 60, "the conversations that a test left have ended")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """A test that failed shows what was said in its calls (or in its module's, where they run side by side), and the ends
    of all logs."""
    report = yield
    stack = getattr(item, "funcargs", {}).get("stack")
    if report.failed and isinstance(stack, Stack):
        with ThreadPoolExecutor(1) as thread:  # here an event loop may be running
            is_side_by_side = _is_side_by_side(cast("pytest.Function", item).module)
            began = stack.module_began if is_side_by_side else call.start
            asked = thread.submit(asyncio.run, last_calls(stack, time.time() - began + 5))
        if (problem := asked.exception()) is not None:  # such as: the stack is down already
            report.sections.append(("calls", f"They can't be told: {problem!r}"))
        else:
            report.sections.append(("calls", asked.result()))
        for child in stack.children():
            report.sections.append((f"end of {child.log}", child.tail()))
    return report
