"""Schemathesis makes requests of the contract against the real server: nothing it thinks of may break the contract.

Bounded, as belongs to every run of the tests; `python3 noxfile.py fuzz` makes 20,000 requests.
"""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from tests.server.conftest import Home
from tools.fuzz import PHASES, Counted, is_phase_run, run_round
from tools.fuzz_hooks import is_about_more_than_shape, is_whole

from bolti_server.bootstrap.web import build_app
from bolti_server.entrypoints.serve import HttpServer
from bolti_server.web.rate_limits import RatePolicy
from bolti_server.world import World

# Each phase has its own time, or the first ones take it all and the last is never seen.
SECONDS = {"examples": 12, "coverage": 14, "fuzzing": 20, "stateful": 25}
FEWEST_REQUESTS = 3  # more than asking for the contract and a probe
SEED = 20261124


@pytest.mark.slow
@pytest.mark.timeout(420)
async def test_no_request_that_the_contract_allows_or_forbids_breaks_the_server(
    world: World, home: Home, tmp_path: Path
) -> None:
    app = Counted(build_app(world, rate=RatePolicy(burst=100_000, window_seconds=1)))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with HttpServer(app, listener):  # type: ignore[arg-type]  # it is an ASGI app
            for phase in PHASES:
                before = app.requests
                done = await run_round(
                    url, home.api_key, tmp_path, phase=phase, seconds=SECONDS[phase], seed=SEED
                )
                assert done.is_clean, done.output[-20_000:]
                assert done.is_run, done.output[-2000:]
                assert app.requests - before >= FEWEST_REQUESTS, done.output[-2000:]
    assert not {status: n for status, n in app.statuses.items() if status >= 500}


def test_a_phase_that_was_skipped_is_noticed() -> None:
    assert is_phase_run("Test Phases:\n  ✅ Stateful\n", "stateful")
    assert not is_phase_run("Test Phases:\n  ⏭  Stateful (disabled)\n", "stateful")
    assert not is_phase_run("Test Phases:\n  ⏭  Stateful (skipped)\n", "stateful")
    assert not is_phase_run("", "stateful")


def test_a_refusal_of_a_shape_that_the_contract_allows_is_a_finding() -> None:
    shape = {"pointer": "/name", "detail": "Needs at least 1 character.", "code": "too_short"}
    deeper = {"pointer": "/tool_ids/0", "detail": "There is no tool 'x'.", "code": "not_found"}
    assert not is_about_more_than_shape(400, {"code": "validation_failed", "errors": [shape]})
    assert not is_about_more_than_shape(400, {"code": "malformed_json", "errors": []})
    assert is_about_more_than_shape(400, {"code": "validation_failed", "errors": [shape, deeper]})
    assert is_about_more_than_shape(422, {"code": "idempotency_mismatch", "errors": []})


def test_a_broken_request_that_is_answered_is_a_finding_unless_nothing_of_it_is_broken() -> None:
    told = "Invalid data should have been rejected\nExpected: 400, 422\nInvalid component: "
    assert is_whole(f"{told}positive test case")
    assert not is_whole(f"{told}parameter `limit` in query - value above the maximum")
    assert not is_whole("Invalid data should have been rejected\nExpected: 400, 422")
