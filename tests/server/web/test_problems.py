"""What goes wrong on our side: the caller learns what helps, the log the rest, once."""

from __future__ import annotations

from typing import Any

import attrs
import httpx2
from structlog.testing import capture_logs
from tests.server.conftest import Home, client_for

from bolti_server.base.db import Database
from bolti_server.base.errors import Refusal, combine
from bolti_server.bootstrap.web import build_app
from bolti_server.contract import structs
from bolti_server.web.problems import TITLES
from bolti_server.world import World


class BrokenDatabase(Database):
    """Fails with `error` whenever it is asked."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def fetchrow(self, sql: str, *args: object) -> Any:
        raise self._error

    async def fetchval(self, sql: str, *args: object) -> Any:
        raise self._error


async def answer_with(
    world: World, home: Home, error: Exception
) -> tuple[httpx2.Response, list[Any]]:
    app = build_app(attrs.evolve(world, db=BrokenDatabase(error)))
    async with client_for(app, home.api_key) as client:
        with capture_logs() as logs:
            answer = await client.get("/workspaces/current")
    return answer, list(logs)


async def test_an_error_of_ours_is_logged_once_and_tells_nothing(world: World, home: Home) -> None:
    answer, logs = await answer_with(world, home, ZeroDivisionError("secret insides"))
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    assert [(each["event"], each["log_level"]) for each in logs] == [("request_failed", "error")]
    assert logs[0]["request_id"] == answer.headers["request-id"]
    assert logs[0]["operation"] == "getWorkspace"


async def test_a_database_that_is_not_there_is_told_as_such(world: World, home: Home) -> None:
    for error in (ConnectionRefusedError("no"), TimeoutError(), OSError("gone")):
        answer, logs = await answer_with(world, home, error)
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        assert answer.headers["retry-after"] == "1"
        assert [each["event"] for each in logs] == ["database_unavailable"]


async def test_a_closed_pool_is_a_database_that_is_not_there(
    world: World, client: httpx2.AsyncClient
) -> None:
    await world.db.close()
    answer = await client.get("/workspaces/current")
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")


async def test_a_refusal_is_not_logged(client: httpx2.AsyncClient) -> None:
    with capture_logs() as logs:
        await client.get("/workspaces/current/agents/agent_x")
        await client.post("/workspaces/current/api-keys", json={})
    assert logs == []


def test_every_code_of_the_contract_has_its_title() -> None:
    assert set(TITLES) == {code.value for code in structs.ProblemCode}


def test_the_first_status_that_applies_wins_and_everything_is_told() -> None:
    found = combine(
        [
            Refusal(402, "payment_required", "No credit.", extras={"balance_micros": 0}),
            Refusal(409, "agent_inactive", "Inactive."),
            Refusal(403, "number_not_assigned", "Not yours."),
        ]
    )
    assert (found.status, found.code) == (403, "number_not_assigned")
    assert {each.code for each in found.faults} == {
        "payment_required",
        "agent_inactive",
        "number_not_assigned",
    }
    assert found.extras == {"balance_micros": 0}
