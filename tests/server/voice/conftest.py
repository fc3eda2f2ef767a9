"""The worker's models (simulated ones, and the real plugins' builders), made once."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.server.support.voice_calls import Stage

from bolti_server.bootstrap.call_models import build_models, warm
from bolti_server.simulated import models as simulated
from bolti_server.voice.models import Models


@pytest.fixture(scope="session")
async def models() -> AsyncIterator[Models]:
    built = build_models()
    await simulated.start_voices()
    await warm(built.vad)
    yield built
    await simulated.stop_voices()


@pytest.fixture(scope="module")
def stage(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return Stage(models, tmp_path_factory.mktemp("calls"))
