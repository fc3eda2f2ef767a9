"""The voices of the simulated network, started once for all tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bolti_server.simulated.models import start_voices, stop_voices


@pytest.fixture(scope="session", autouse=True)
async def _voices() -> AsyncIterator[None]:
    await start_voices()
    yield
    await stop_voices()
