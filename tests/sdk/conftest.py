"""Both faces against a scripted server: a test that takes `face` runs once with `Bolti`, once with `AsyncBolti`."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.sdk.support.scripted_server import ScriptedServer

from bolti import AsyncBolti, Bolti

API_KEY = "bolti_sk_TESTTESTTESTTESTTESTTESTTEST00SECRET"


@pytest.fixture(autouse=True)
def settings_of_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What this machine's user has set doesn't count here."""
    for name in ("BOLTI_API_KEY", "BOLTI_BASE_URL", "BOLTI_WORKSPACE_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BOLTI_PROFILE", str(tmp_path / "no-profile.json"))


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    made = ScriptedServer()
    yield made
    made.stop()


class Face:
    """`await face(lambda bolti: …)` gives what the lambda gives, on either face."""

    def __init__(self, server: ScriptedServer, is_async: bool) -> None:
        self.is_async = is_async
        self.server = server
        self._clients: list[Any] = []

    def client(self, **options: Any) -> Any:
        kind: Callable[..., Any] = AsyncBolti if self.is_async else Bolti
        made = kind(**{"api_key": API_KEY, "base_url": self.server.base_url, **options})
        self._clients.append(made)
        return made

    async def __call__(self, work: Callable[[Any], Any], **options: Any) -> Any:
        client = self.client(**options)
        if not self.is_async:
            return await asyncio.to_thread(work, client)
        result = work(client)
        return await result if inspect.isawaitable(result) else result

    async def items(
        self, work: Callable[[Any], Any], most: int = 1000, **options: Any
    ) -> list[Any]:
        """At most so many items of what the lambda gives, which is then closed if it can be."""
        client = self.client(**options)
        if not self.is_async:
            return await asyncio.to_thread(take, work, client, most)
        found: list[Any] = []
        source = work(client)
        async for item in source:
            found.append(item)
            if len(found) == most:
                break
        if hasattr(source, "aclose"):
            await source.aclose()
        return found

    async def close(self) -> None:
        for client in self._clients:
            if self.is_async:
                await client.aclose()
            else:
                client.close()


def take(work: Callable[[Any], Any], client: Any, most: int) -> list[Any]:
    found: list[Any] = []
    source = work(client)
    for item in source:
        found.append(item)
        if len(found) == most:
            break
    if hasattr(source, "close"):
        source.close()
    return found


@pytest.fixture(params=["sync", "async"])
async def face(request: pytest.FixtureRequest, server: ScriptedServer) -> AsyncIterator[Face]:
    made = Face(server, request.param == "async")
    yield made
    await made.close()
