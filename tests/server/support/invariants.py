"""All slices' invariants: statements that must return no row, whatever happened."""

from __future__ import annotations

import importlib
import importlib.util

import asyncpg

SLICES = ("workspaces", "billing", "webhooks", "agents", "numbers", "calls")


def invariants() -> dict[str, str]:
    """Sentence → SQL, of every slice."""
    found: dict[str, str] = {}
    for name in SLICES:
        if importlib.util.find_spec(f"bolti_server.{name}.invariants"):
            module = importlib.import_module(f"bolti_server.{name}.invariants")
            found.update(
                {f"{name}: {sentence}": sql for sentence, sql in module.INVARIANTS.items()}
            )
    return found


async def broken_invariants(dsn: str) -> list[str]:
    """The sentences that do not hold, each with the first rows that show it."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        broken: list[str] = []
        for sentence, sql in invariants().items():
            rows = await connection.fetch(sql)
            if rows:
                broken.append(f"{sentence}: {[dict(row) for row in rows[:3]]}")
        return broken
    finally:
        await connection.close()
