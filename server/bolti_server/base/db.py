"""The database: one pool, and transactions of our own on it.

Rules: an edge (route, job, callback) opens the transaction, once; a transaction belongs to one task; inside it nothing
waits for the network. Piccolo's own `transaction()` leaks its connection when COMMIT fails, nests silently and is
inherited by child tasks (../docs/decisions/0003), so this one replaces it: Piccolo queries awaited inside
`Database.transaction()` run in it, because it sets Piccolo's `current_transaction`.

jsonb travels as text both ways (`encode_json` / `decode_json`), because Piccolo dumps JSON itself.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg
import msgspec
from piccolo.engine.postgres import PostgresEngine

T = TypeVar("T")


# Piccolo binds its tables to an engine when the class is made, so there is one engine per process and
# `Database.open` gives it its pool. Nothing else reads this name but tables.py files and this module.
class _LateEngine(PostgresEngine):
    async def check_version(self) -> None:
        """Not at import: Piccolo would connect to whatever answers on localhost:5432."""


ENGINE = _LateEngine(config={}, extensions=())

COMMAND_TIMEOUT_SECONDS = 10.0


def encode_json(value: object) -> str:
    """`value` (msgspec struct or plain data) as the text that a jsonb parameter takes."""
    return msgspec.json.encode(value).decode()


def decode_json(text: str | bytes | None) -> Any:
    """Plain data out of a jsonb column (None stays None)."""
    return None if text is None else msgspec.json.decode(text)


class Tx:
    """An open transaction. Raw SQL by `fetch…` and `execute`; Piccolo queries join it by themselves."""

    __slots__ = ("_before_commit", "_connection", "_is_open", "_task", "_topics", "pending_events")

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self._connection = connection
        self._task = asyncio.current_task()
        self._is_open = True
        self._before_commit: list[Callable[[Tx], Awaitable[None]]] = []
        self._topics: set[str] = set()
        self.pending_events: list[Any] = []

    @property
    def connection(self) -> asyncpg.Connection[asyncpg.Record]:
        assert self._is_open, (
            "transaction is over: start detached work with spawn(), not create_task()"
        )
        assert asyncio.current_task() is self._task, (
            "a transaction belongs to one task (no gather inside)"
        )
        return self._connection

    async def fetch(self, sql: str, *args: object) -> Sequence[asyncpg.Record]:
        rows: Sequence[asyncpg.Record] = await self.connection.fetch(sql, *args)
        return rows

    async def fetchrow(self, sql: str, *args: object) -> asyncpg.Record | None:
        return await self.connection.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: object) -> Any:
        return await self.connection.fetchval(sql, *args)

    async def execute(self, sql: str, *args: object) -> str:
        status: str = await self.connection.execute(sql, *args)
        return status

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[Tx]:
        """A nested transaction that can fail alone."""
        async with self.connection.transaction():
            yield self

    def before_commit(self, work: Callable[[Tx], Awaitable[None]]) -> None:
        """Runs inside the transaction as its last step (e.g. taking the event counter, so that it is held shortest)."""
        self._before_commit.append(work)

    def wake(self, topic: str) -> None:
        """Wakes this process's waiters on `topic` after COMMIT, never after a rollback (pollers find the row anyway)."""
        self._topics.add(topic)

    @property
    def topics(self) -> Sequence[str]:
        """What to wake when it has committed."""
        return sorted(self._topics)

    async def finish(self) -> None:
        """The last steps inside the transaction (`Database` calls it, before COMMIT)."""
        for work in self._before_commit:
            await work(self)

    def close(self) -> None:
        """Whoever still holds it can't use it any more (`Database` calls it)."""
        self._is_open = False


class Database:
    """The process's pool on PostgreSQL."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], wake: Callable[[str], None]) -> None:
        self._pool = pool
        self._wake = wake

    @classmethod
    async def open(
        cls,
        dsn: str,
        *,
        wake: Callable[[str], None] = lambda _topic: None,
        min_size: int = 2,
        max_size: int = 16,
    ) -> Database:
        """Connects; `wake` is told each committed topic (`Wakeups.wake`).

        Raises OSError or asyncpg.PostgresError when the server can't be reached.
        """

        async def keep_session(_connection: object) -> None:
            """No RESET ALL on release: we never set session state, and the round trip costs a third of a small request."""

        pool = await asyncpg.create_pool(
            dsn,
            min_size=min_size,
            max_size=max_size,
            command_timeout=COMMAND_TIMEOUT_SECONDS,
            timeout=COMMAND_TIMEOUT_SECONDS,
            reset=keep_session,
        )
        ENGINE.config = {"dsn": dsn}
        ENGINE.pool = pool
        return cls(pool, wake)

    async def close(self, *, timeout_seconds: float = 5.0) -> None:
        ENGINE.pool = None
        try:
            await asyncio.wait_for(self._pool.close(), timeout_seconds)
        except TimeoutError:
            self._pool.terminate()

    @asynccontextmanager
    async def transaction(
        self, *, isolation: str = "read_committed", is_readonly: bool = False
    ) -> AsyncIterator[Tx]:
        """One transaction on one connection; commits when the block ends without an exception.

        Raises AssertionError when this task already has one: pass the `Tx` on, or use `Tx.savepoint()`.
        """
        assert ENGINE.current_transaction.get() is None, (
            "this task is in a transaction already: pass its Tx on"
        )
        async with self._pool.acquire(timeout=COMMAND_TIMEOUT_SECONDS) as connection:
            tx = Tx(connection)  # the pool's proxy forwards every call
            async with connection.transaction(isolation=isolation, readonly=is_readonly):
                token = ENGINE.current_transaction.set(tx)  # type: ignore[arg-type]  # Piccolo reads only .connection
                try:
                    yield tx
                    await tx.finish()
                finally:
                    tx.close()
                    ENGINE.current_transaction.reset(token)
        for topic in tx.topics:
            self._wake(topic)

    async def fetch(self, sql: str, *args: object) -> Sequence[asyncpg.Record]:
        """One reading statement outside any transaction."""
        rows: Sequence[asyncpg.Record] = await self._pool.fetch(sql, *args)
        return rows

    async def fetchrow(self, sql: str, *args: object) -> asyncpg.Record | None:
        return await self._pool.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: object) -> Any:
        return await self._pool.fetchval(sql, *args)


def spawn(work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
    """Detached work that never inherits the caller's transaction. The caller owns the task: keep it and await it."""
    return asyncio.get_running_loop().create_task(work, name=name, context=contextvars.Context())
