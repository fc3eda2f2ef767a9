"""Whole processes: `bolti-server dev` as a user starts it, on a data folder of its own, and the SDK as its client."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import attrs
import pytest
from tests.server.support.invariants import broken_invariants
from tests.system.receivers import Receiver

from bolti import Bolti
from bolti_server.base.embedded import EmbeddedPostgres
from bolti_server.entrypoints.dev_child import DevChild, Running

LOOK_EVERY_SECONDS = 0.05

T = TypeVar("T")


def wait_until(look: Callable[[], T | None], timeout_seconds: float, what: str) -> T:
    """The first answer of `look` that is neither None nor False. Fails the test when the time is over."""
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(LOOK_EVERY_SECONDS)  # noqa: TID251  other processes are watched: there is nothing to wait on
    raise AssertionError(f"not within {timeout_seconds} s: {what}")


@attrs.define
class Stack:
    """A `dev` with its client. `restart` starts it again on the same port and data after `kill` or `stop`."""

    child: DevChild
    running: Running
    bolti: Bolti

    @classmethod
    def start(cls, folder: Path, port: int = 0) -> Stack:
        child = DevChild(folder, port=port, profile=folder / "profile.json")
        running = child.start()
        return cls(child, running, _client(running))

    @property
    def profile(self) -> Path:
        """The client profile that this `dev` wrote."""
        return self.running.data_dir / "profile.json"

    def kill_server(self) -> None:
        """kill -9 of the server alone."""
        self.child.kill()

    def restart(self) -> None:
        self.bolti.close()
        port = int(self.running.base_url.rsplit(":", 1)[1])
        again = Stack.start(self.running.data_dir, port)
        self.child, self.running, self.bolti = again.child, again.running, again.bolti

    def stop(self) -> None:
        """Stops all and removes its database, in which every invariant must hold, whatever was killed before."""
        self.bolti.close()
        self.child.stop()
        broken = remove_database(self.running.data_dir)
        assert not broken, broken


def _client(running: Running) -> Bolti:
    return Bolti(
        api_key=running.api_key, base_url=running.base_url, workspace_id=running.workspace_id
    )


def remove_database(data_dir: Path) -> list[str]:
    """The invariants that did not hold. As root the database lies beside the data folder: a test leaves nothing there."""
    postgres = EmbeddedPostgres(data_dir)
    dsn = postgres.start()
    try:
        return asyncio.run(broken_invariants(dsn))
    finally:
        postgres.stop()
        assert postgres._places is not None
        shutil.rmtree(postgres._places.home, ignore_errors=True)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A `dev` of this test's own, for tests that kill things."""
    made = Stack.start(tmp_path / "data")
    yield made
    made.stop()


@pytest.fixture(scope="session")
def shared_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One `dev` for tests that only use it."""
    made = Stack.start(tmp_path_factory.mktemp("shared") / "data")
    yield made
    made.stop()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    made.start()
    yield made
    made.stop()
