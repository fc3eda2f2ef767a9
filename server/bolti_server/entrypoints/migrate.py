"""`bolti-server migrate`: the database's tables, brought up to this version."""

from __future__ import annotations

import asyncio

from rich.console import Console

from bolti_server.migrations.runner import migrate


def run(*, database_url: str) -> int:
    """Prints what was applied; repeating is safe."""
    applied = asyncio.run(migrate(database_url))
    Console().print(
        "\n".join(f"applied {name}" for name in applied) or "The database is up to date."
    )
    return 0
