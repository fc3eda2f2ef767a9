"""The Piccolo classes that declare who owns which table, held against the schema that the migrations make."""

from __future__ import annotations

import importlib
import pkgutil

import asyncpg
import pytest
from piccolo.table import Table

import bolti_server

# Owned by a module of `base` or by the migrations, which use plain SQL.
WITHOUT_A_CLASS = {"bolti_clock", "migrations", "events", "event_counters", "event_subjects"}

Columns = dict[str, bool]  # name → may it be null


def classes() -> dict[str, type[Table]]:
    """Table name → its class, of every slice; one table has one owner."""
    found: dict[str, type[Table]] = {}
    for package in pkgutil.iter_modules(bolti_server.__path__, "bolti_server."):
        try:
            module = importlib.import_module(f"{package.name}.tables")
        except ModuleNotFoundError as error:
            if error.name != f"{package.name}.tables" and package.ispkg:
                raise
            continue
        for kind in vars(module).values():
            if (
                isinstance(kind, type)
                and issubclass(kind, Table)
                and kind.__module__ == module.__name__
            ):
                name = kind._meta.tablename
                assert name not in found, f"{name} has two owners"
                found[name] = kind
    return found


async def schema(database_url: str) -> dict[str, Columns]:
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        rows = await connection.fetch(
            """select c.table_name, c.column_name, c.is_nullable = 'YES' as is_nullable
               from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
               where c.table_schema = 'public' and t.table_type = 'BASE TABLE'"""
        )
    finally:
        await connection.close()
    found: dict[str, Columns] = {}
    for row in rows:
        found.setdefault(row["table_name"], {})[row["column_name"]] = row["is_nullable"]
    return found


async def test_every_table_has_an_owner_and_every_owner_a_table(database_url: str) -> None:
    assert set(classes()) | WITHOUT_A_CLASS == set(await schema(database_url))
    assert not set(classes()) & WITHOUT_A_CLASS


async def test_a_class_has_the_columns_of_its_table_and_their_nullability(
    database_url: str,
) -> None:
    made = await schema(database_url)
    for name, kind in classes().items():
        declared = {each._meta.db_column_name: each._meta.null for each in kind._meta.columns}
        assert declared == made[name], name


@pytest.mark.parametrize("name", ["conversations", "ledger_accounts", "api_keys"])
def test_the_slices_tables_are_found(name: str) -> None:
    """A comparison of nothing with nothing would hold too."""
    assert name in classes()
