"""`bolti-server migrate`: the database's tables, brought up to this version."""

from __future__ import annotations

import asyncio

from rich.console import Console

from bolti_server.base.settings import Settings
from bolti_server.entrypoints.complaints import (
    CannotStart,
    complaints_about_database_url,
    read_settings,
)
from bolti_server.entrypoints.database_complaints import database_complaints
from bolti_server.migrations.runner import migrate


def run(*, database_url: str) -> int:
    """Prints what was applied; repeating is safe. Exit code 2 for settings to be mended, 1 for the database.

    It needs no other setting than the address, but tells an operator at the first command which of them is wrong.
    """
    try:
        read_settings(Settings)
        if complaints := complaints_about_database_url(database_url):
            raise CannotStart(complaints)
        with database_complaints():
            applied = asyncio.run(migrate(database_url))
    except CannotStart as problem:
        return problem.tell("migrate")
    Console().print(
        "\n".join(f"applied {name}" for name in applied) or "The database is up to date."
    )
    return 0
