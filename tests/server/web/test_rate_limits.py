"""How many requests a key may make."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx2
import pytest
from litestar import Litestar
from tests.server.conftest import Home, client_for

from bolti_server.bootstrap.web import build_app
from bolti_server.web.rate_limits import RateLimiter, RatePolicy
from bolti_server.world import World


class HandClock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def test_a_burst_is_allowed_then_one_for_each_part_of_the_window() -> None:
    clock = HandClock()
    limiter = RateLimiter(RatePolicy(burst=4, window_seconds=2), clock)
    headers = [limiter.take("a")[0] for _ in range(4)]
    assert headers[0] == b'"default";r=3;t=1'
    assert headers[3] == b'"default";r=0;t=2'
    _, refusal = limiter.take("a")
    assert refusal is not None
    assert (refusal.status, refusal.headers["Retry-After"]) == (429, "1")
    clock.seconds += 0.5
    assert limiter.take("a")[1] is None
    assert limiter.take("a")[1] is not None
    clock.seconds += 1000
    assert limiter.take("a")[0] == b'"default";r=3;t=1', "more than the burst is never saved up"


def test_keys_have_limits_of_their_own() -> None:
    limiter = RateLimiter(RatePolicy(burst=1, window_seconds=60), HandClock())
    assert limiter.take("a")[1] is None
    refusal = limiter.take("a")[1]
    assert refusal is not None
    assert refusal.headers["Retry-After"] == "60"
    assert limiter.take("b")[1] is None


@pytest.fixture
def app(world: World) -> Litestar:
    return build_app(world, rate=RatePolicy(burst=2, window_seconds=60))


async def test_over_the_limit_a_key_is_told_when_to_come_again(
    app: Litestar, home: Home, other_home: Home
) -> None:
    async with client_for(app, home.api_key) as client:
        first = await client.get("/workspaces/current")
        assert first.headers["ratelimit-policy"] == '"default";q=2;w=60'
        assert first.headers["ratelimit"].startswith('"default";r=1;t=')
        await client.get("/workspaces/current")
        limited = await client.get("/workspaces/current")
        assert (limited.status_code, limited.json()["code"]) == (429, "rate_limited")
        assert int(limited.headers["retry-after"]) in range(1, 31)
        assert limited.headers["ratelimit"].startswith('"default";r=0;t=')
        assert "ratelimit-policy" in limited.headers
    async with client_for(app, other_home.api_key) as other:
        assert (await other.get("/workspaces/current")).status_code == 200


async def test_who_has_no_key_takes_nobodys_tokens(app: Litestar, home: Home) -> None:
    async with client_for(app) as stranger:
        for _ in range(5):
            answer: httpx2.Response = await stranger.get("/workspaces/current")
            assert answer.status_code == 401
    async with client_for(app, home.api_key) as client:
        assert (await client.get("/workspaces/current")).status_code == 200
