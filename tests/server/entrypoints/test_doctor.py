"""`bolti-server doctor`: every check seen to pass and to fail, with what to do."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from tests.server.conftest import Home, MoveTime
from tests.server.support.findings import by_name, signs
from tests.server.support.livekits import KEY, SECRET

from bolti_server.base.db import encode_json
from bolti_server.entrypoints import doctor
from bolti_server.entrypoints.doctor.database import clock_finding, look_at_database
from bolti_server.entrypoints.doctor.examining import Check, examine
from bolti_server.entrypoints.doctor.findings import Finding, Sign, ok
from bolti_server.entrypoints.doctor.objects import look_at_objects
from bolti_server.worker_api.messages import RoomWorker
from bolti_server.world import World

NOBODY_LISTENS = "postgresql://bolti@127.0.0.1:9/bolti"
OK, PROBLEM, NOT_CHECKED = Sign.OK, Sign.PROBLEM, Sign.NOT_CHECKED


# ---- database, clock, workers ----


async def registered(world: World, *workers: RoomWorker | None) -> None:
    for number, rooms in enumerate(workers):
        await world.db.fetch(
            "insert into workers (id, name, capacity, rooms) values ($1, $1, 10, $2::jsonb)",
            f"worker_{number}",
            None if rooms is None else encode_json(rooms),
        )


def room_worker(*, is_registered: bool = True, warm: int = 2, warm_wanted: int = 2) -> RoomWorker:
    return RoomWorker(
        url="ws://livekit:7880", is_registered=is_registered, warm=warm, warm_wanted=warm_wanted
    )


async def test_a_migrated_database_with_a_worker_is_well(world: World, database_url: str) -> None:
    await registered(world, None)
    found = signs(await look_at_database(database_url, has_rooms=False))
    assert found == {"database": OK, "migrations": OK, "clock": OK, "workers": OK}


async def test_a_database_that_is_not_there_leaves_the_rest_unchecked() -> None:
    found = by_name(await look_at_database(NOBODY_LISTENS, has_rooms=False))
    assert found["database"].sign is PROBLEM
    assert "BOLTI_DATABASE_URL" in str(found["database"].advice)
    rest = {name: each.sign for name, each in found.items() if name != "database"}
    assert rest == {"migrations": NOT_CHECKED, "clock": NOT_CHECKED, "workers": NOT_CHECKED}


@pytest.mark.parametrize("password", ["s3cret", "p%zz"])
async def test_a_database_that_refuses_us_does_not_get_the_password_told(password: str) -> None:
    url = f"postgresql://bolti:{password}@127.0.0.1:9/bolti"
    found = await look_at_database(url, has_rooms=False)
    assert found[0].sign is PROBLEM
    assert password not in str(found)


async def test_a_database_without_tables_says_how_to_make_them(
    world: World, database_url: str
) -> None:
    await world.db.fetch("alter table migrations rename to not_migrations")
    found = by_name(await look_at_database(database_url, has_rooms=False))
    await world.db.fetch("alter table not_migrations rename to migrations")
    assert found["migrations"].sign is PROBLEM
    assert "bolti-server migrate" in str(found["migrations"].advice)


async def test_a_migration_that_is_missing_or_unknown_is_named(
    world: World, database_url: str
) -> None:
    await world.db.fetch("update migrations set name = '9999_later' where name = '0008_rooms'")
    lacking = by_name(await look_at_database(database_url, has_rooms=False))["migrations"]
    assert (lacking.sign, "0008_rooms" in lacking.detail) == (PROBLEM, True)
    await world.db.fetch(
        "insert into migrations (name, sha256) select '0008_rooms', sha256 from migrations limit 1"
    )
    newer = by_name(await look_at_database(database_url, has_rooms=False))["migrations"]
    assert (newer.sign, "9999_later" in newer.detail) == (PROBLEM, True)


@pytest.mark.parametrize(("seconds", "sign"), [(0, OK), (1.9, OK), (2.1, PROBLEM), (-90, PROBLEM)])
def test_clocks_that_are_apart_are_a_problem(seconds: float, sign: Sign) -> None:
    here = datetime.now(UTC)
    found = clock_finding("clock", "the database's clock", here + timedelta(seconds=seconds), here)
    assert found.sign is sign
    if sign is PROBLEM:
        assert ("ahead of" if seconds > 0 else "behind") in found.detail


async def test_no_worker_is_a_problem_and_an_old_one_is_none(
    world: World, database_url: str, move_time: MoveTime
) -> None:
    nobody = by_name(await look_at_database(database_url, has_rooms=False))["workers"]
    assert (nobody.sign, "bolti-server worker" in str(nobody.advice)) == (PROBLEM, True)
    await registered(world, None)
    assert signs(await look_at_database(database_url, has_rooms=False))["workers"] is OK
    await move_time(31)
    assert signs(await look_at_database(database_url, has_rooms=False))["workers"] is PROBLEM


@pytest.mark.parametrize(
    ("workers", "sign", "word"),
    [
        ([room_worker(), room_worker()], OK, "2 of 2 registered with LiveKit; 4 of 4"),
        ([room_worker(), None], OK, "1 of 1 registered"),
        ([None], PROBLEM, "none of the 1 workers takes calls in rooms"),
        ([room_worker(is_registered=False)], PROBLEM, "ws://livekit:7880"),
        ([room_worker(), room_worker(is_registered=False)], PROBLEM, "1 of 2 registered"),
        ([room_worker(warm=0)], PROBLEM, "no process is warm"),
        ([room_worker(warm=0, warm_wanted=0)], PROBLEM, "no process is warm"),
    ],
)
async def test_workers_of_rooms_are_registered_and_warm(
    world: World, database_url: str, workers: list[RoomWorker | None], sign: Sign, word: str
) -> None:
    await registered(world, *workers)
    found = by_name(await look_at_database(database_url, has_rooms=True))["room workers"]
    assert found.sign is sign
    assert word in found.detail


# ---- trunks ----


async def test_a_trunk_that_calls_can_not_come_in_by_is_told_with_the_reason(
    world: World, database_url: str, home: Home
) -> None:
    async def found() -> Finding:
        return by_name(await look_at_database(database_url, has_rooms=True))["trunks"]

    assert (await found()).sign is OK, "none is well"
    await world.db.fetch(
        """insert into trunks (id, workspace_id, name, kind, can_inbound, can_outbound,
                               allowed_addresses, inbound_status, sync_due_at)
           values ('trunk_1', $1, 'Ours', 'byot', true, false, '{192.0.2.7/32}', 'pending', bolti_now())""",
        home.workspace_id,
    )
    assert (await found()).sign is NOT_CHECKED
    await world.db.fetch(
        "update trunks set inbound_status = 'failed', sync_detail = 'It has the number.' where id = 'trunk_1'"
    )
    told = await found()
    assert (told.sign, "trunk_1: It has the number." in told.detail) == (PROBLEM, True)
    await world.db.fetch("update trunks set inbound_status = 'ready' where id = 'trunk_1'")
    assert (await found()).sign is OK


# ---- object store ----


async def test_an_object_store_that_can_be_written_is_well(tmp_path: Path) -> None:
    found = await look_at_objects(str(tmp_path / "objects"))
    assert signs(found) == {"object store": OK}
    left = [each for each in (tmp_path / "objects").rglob("*") if each.is_file()]
    assert not left, "the probe stayed"


async def test_an_object_store_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    for address in (str(tmp_path / "file"), "gopher://bucket", "s3://"):
        found = by_name(await look_at_objects(address))["object store"]
        assert found.sign is PROBLEM, address
        assert "BOLTI_OBJECT_STORE_URL" in str(found.advice)


# ---- all together ----


async def test_a_check_that_hangs_or_breaks_hides_no_other() -> None:
    async def hangs() -> Sequence[Finding]:
        await asyncio.Event().wait()
        return []

    async def breaks() -> Sequence[Finding]:
        raise KeyError("a bug")

    async def works() -> Sequence[Finding]:
        return [ok("third", "is well.")]

    checks = [Check("first", hangs, 0.05), Check("second", breaks), Check("third", works)]
    found = await examine(checks)
    assert [each.sign for each in found] == [PROBLEM, PROBLEM, OK]
    assert "0.05 s" in found[0].detail
    assert "KeyError" in found[1].detail


SERVER = {
    "BOLTI_SECRET_KEY": "b7Qf0sZk2LhXw9RtYp4Nc6Vm8Jd1Ga3Ue5",
    "BOLTI_WORKER_TOKEN": "q1W2e3R4t5Y6u7I8o9P0a1S2d3F4g5H6j7",
    "BOLTI_PUBLIC_URL": "http://localhost:8000",
    "BOLTI_INTERNAL_URL": "http://127.0.0.1:9",
}


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    for name in [each for each in os.environ if each.startswith(("BOLTI_", "LIVEKIT_"))]:
        monkeypatch.delenv(name)
    for name, value in {**SERVER, "BOLTI_DATA_DIR": str(tmp_path / "data")}.items():
        monkeypatch.setenv(name, value)
    yield monkeypatch
    # The doctor configures the logs of its process, which is this one: they would go to a stream that is closed by then.
    structlog.reset_defaults()
    root = logging.getLogger()
    for handler in [each for each in root.handlers if type(each) is logging.StreamHandler]:
        root.removeHandler(handler)


def told(
    capsys: pytest.CaptureFixture[str], *, is_worker: bool = False
) -> tuple[int, dict[str, Sign]]:
    code = doctor.run(is_worker=is_worker, is_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["is_well"] is (code == 0)
    return code, {each["check"]: Sign(each["sign"]) for each in found["checks"]}


def test_an_installation_that_is_not_there_is_told_whole(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("BOLTI_DATABASE_URL", NOBODY_LISTENS)
    code, found = told(capsys)
    assert code == 1
    assert found == {
        "settings": OK,
        "database": PROBLEM,
        "migrations": NOT_CHECKED,
        "clock": NOT_CHECKED,
        "workers": NOT_CHECKED,
        "object store": OK,
        "internal url": PROBLEM,
        "livekit": NOT_CHECKED,
    }


def test_settings_that_are_wrong_are_told_and_what_depends_on_them_is_not_checked(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = told(capsys)
    assert (code, found["settings"], found["database"]) == (1, PROBLEM, NOT_CHECKED)
    environment.setenv("BOLTI_PORT", "many")
    code, found = told(capsys)
    assert code == 1
    assert found["settings"] is PROBLEM
    assert {sign for name, sign in found.items() if name != "settings"} == {NOT_CHECKED}


def test_a_workers_machine_needs_no_database(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = told(capsys, is_worker=True)
    assert code == 1, "there is no server"
    assert found == {"settings": OK, "internal url": PROBLEM, "livekit": NOT_CHECKED}
    environment.setenv("LIVEKIT_URL", "ws://127.0.0.1:9")
    _, found = told(capsys, is_worker=True)
    assert found["settings"] is PROBLEM, "a URL without key and secret"
    assert found["livekit"] is NOT_CHECKED
    environment.setenv("LIVEKIT_API_KEY", KEY)
    environment.setenv("LIVEKIT_API_SECRET", SECRET)
    _, found = told(capsys, is_worker=True)
    assert (found["settings"], found["livekit"]) == (OK, PROBLEM)
    environment.delenv("BOLTI_WORKER_TOKEN")
    _, found = told(capsys, is_worker=True)
    assert (found["settings"], found["livekit"]) == (PROBLEM, NOT_CHECKED)


def test_for_people_it_is_a_line_each_and_readable_without_colours(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("BOLTI_DATABASE_URL", NOBODY_LISTENS)
    assert doctor.run(is_worker=False, is_json=False) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 9
    assert all(line.startswith(("ok ", "problem ", "not checked ")) for line in lines[:-1])
    assert lines[-1] == "2 problems, 4 not checked."
    assert "\x1b" not in "".join(lines)
    assert SERVER["BOLTI_SECRET_KEY"] not in "".join(lines)
