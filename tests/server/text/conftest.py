from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.server.support.voice_calls import Stage

from bolti_server.bootstrap.call_models import build_models, warm
from bolti_server.simulated.models import start_voices, stop_voices


@pytest.fixture(scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Where calls with sound are placed."""
    models = build_models()
    await start_voices()
    await warm(models.vad)
    folder: Path = tmp_path_factory.mktemp("calls")
    yield Stage(models, folder)
    await stop_voices()
