"""`bolti-server create-workspace`: where an operator's first API key comes from."""

from __future__ import annotations

import asyncio
import json
import sys

import asyncpg
import attrs
from rich.console import Console

from bolti_server.base.settings import Settings
from bolti_server.bootstrap.seeding import NewWorkspace, create_workspace
from bolti_server.bootstrap.web import open_world

console = Console(stderr=True, highlight=False, soft_wrap=True)


def run(*, name: str) -> int:
    """Prints JSON for programs to read. Exit code 2 for settings to be mended, 1 where the database is not ready."""
    settings = Settings()
    missing = [
        variable
        for variable, value in (
            ("BOLTI_DATABASE_URL", settings.database_url),
            ("BOLTI_SECRET_KEY", settings.secret_key),
        )
        if not value
    ]
    if missing:
        console.print(f"[red]Set {' and '.join(missing)} to what `bolti-server serve` has.[/red]")
        return 2
    try:
        made = asyncio.run(_create(settings, name))
    except asyncpg.UndefinedTableError:
        console.print(
            "[red]The database has no tables yet. Run `bolti-server migrate` first.[/red]"
        )
        return 1
    except (OSError, asyncpg.PostgresError) as problem:
        console.print(f"The database can't be used: {problem}", style="red", markup=False)
        return 1
    json.dump(attrs.asdict(made), sys.stdout, indent=1)
    print()
    return 0


async def _create(settings: Settings, name: str) -> NewWorkspace:
    async with open_world(settings) as world:
        return await create_workspace(world, name)
