"""Schemathesis makes requests of the contract against the real server: nothing it thinks of may break the contract."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

import pytest
from litestar import Litestar
from tests.server.conftest import Home

from bolti_server.bootstrap.web import build_app
from bolti_server.entrypoints.serve import HttpServer
from bolti_server.web.rate_limits import RatePolicy
from bolti_server.world import World

BUDGET_SECONDS = 40
# Shape is not all that a request must have: ids in it must exist, a cursor be of its list, an Idempotency-Key be new.
NOT_CHECKED = "positive_data_acceptance"
SLACK_SECONDS = 45  # to start Python and to load the contract, on a busy machine


@pytest.fixture
def app(world: World) -> Litestar:
    return build_app(world, rate=RatePolicy(burst=100_000, window_seconds=1))


@pytest.mark.slow
async def test_no_request_that_the_contract_allows_or_forbids_breaks_the_server(
    app: Litestar, home: Home, tmp_path: Path
) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with HttpServer(app, listener):  # type: ignore[arg-type]  # build_app makes an Api
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"),
                *("--header", f"Authorization: Bearer {home.api_key}"),
                *("--checks", "all", "--exclude-checks", NOT_CHECKED, "--continue-on-failure"),
                *("--max-time", str(BUDGET_SECONDS)),
                *(
                    "--request-timeout",
                    "10",
                    "--seed",
                    "20261124",
                    "--warnings",
                    "off",
                    "--no-color",
                ),
                cwd=tmp_path,  # it keeps what it found in a folder
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            try:
                async with asyncio.timeout(BUDGET_SECONDS + SLACK_SECONDS):
                    output, _ = await process.communicate()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
    assert process.returncode == 0, output.decode()[-20_000:]
