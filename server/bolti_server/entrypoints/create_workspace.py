"""`bolti-server create-workspace`: where an operator's first API key comes from."""

from __future__ import annotations

import asyncio
import json
import sys

import attrs

from bolti_server.base.settings import Settings
from bolti_server.bootstrap.seeding import NewWorkspace, create_workspace
from bolti_server.bootstrap.web import open_world
from bolti_server.entrypoints.complaints import (
    CannotStart,
    complaints_about_database_url,
    complaints_about_secret,
    read_settings,
)
from bolti_server.entrypoints.database_complaints import database_complaints


def run(*, name: str) -> int:
    """Prints JSON for programs to read. Exit code 2 for settings to be mended, 1 where the database is not ready."""
    try:
        settings = read_settings(Settings)
        complaints = complaints_about_database_url(settings.database_url)
        complaints += complaints_about_secret("BOLTI_SECRET_KEY", settings.secret_key)
        if complaints:
            raise CannotStart([*complaints, "Both are what `bolti-server serve` has."])
        with database_complaints():
            made = asyncio.run(_create(settings, name))
    except CannotStart as problem:
        return problem.tell("create-workspace")
    json.dump(attrs.asdict(made), sys.stdout, indent=1)
    print()
    return 0


async def _create(settings: Settings, name: str) -> NewWorkspace:
    async with open_world(settings) as world:
        return await create_workspace(world, name)
