"""Databases for tests: one PostgreSQL for the whole run, one migrated template, a copy of it for each test."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from pathlib import Path

import asyncpg

from bolti_server.base.embedded import EmbeddedPostgres
from bolti_server.migrations.runner import migrate

_SETTINGS = {"max_connections": "200", "fsync": "off", "synchronous_commit": "off"}
_numbers = itertools.count(1)


class TestDatabases:
    """`start` once; `create` gives the address of a fresh, migrated database, `drop` takes it away."""

    __test__ = False

    def __init__(self, folder: Path) -> None:
        self._postgres = EmbeddedPostgres(folder, durable=False, settings=_SETTINGS)
        self._dsn = ""

    def start(self) -> None:
        self._dsn = self._postgres.start()
        asyncio.run(self._make_template())

    def stop(self) -> None:
        self._postgres.stop()
        if self._postgres._places is not None:
            shutil.rmtree(self._postgres._places.home, ignore_errors=True)

    async def _make_template(self) -> None:
        await self._execute("create database bolti_template")
        await migrate(self._address("bolti_template"))

    async def create(self) -> str:
        name = f"bolti_test_{next(_numbers)}"
        await self._execute(f"create database {name} template bolti_template strategy file_copy")
        return self._address(name)

    async def drop(self, dsn: str) -> None:
        name = dsn.partition("?")[0].rsplit("/", 1)[1]
        await self._execute(f"drop database {name} with (force)")

    def _address(self, name: str) -> str:
        path, question, query = self._dsn.partition("?")
        return path.rsplit("/", 1)[0] + "/" + name + question + query

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self._dsn, timeout=10)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()
