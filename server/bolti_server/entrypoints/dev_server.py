"""What `bolti-server dev` runs: the server in this process, one worker child, and what a newcomer needs.

Rule: what dies here is started again (worker, PostgreSQL), and what is killed from outside (this process) leaves nothing
that the next start can't pick up: PostgreSQL lives in a session of its own, and an orphaned worker finishes its calls.
"""

from __future__ import annotations

import asyncio
import importlib
import signal
import socket
from concurrent.futures import Future
from contextlib import AsyncExitStack

import attrs
import uvloop
from rich.console import Console

from bolti_server.base.embedded import EmbeddedPostgres
from bolti_server.base.settings import Settings
from bolti_server.bootstrap.local import DataDirectory
from bolti_server.bootstrap.seeding import Seeded, seed
from bolti_server.bootstrap.web import build_app, open_world
from bolti_server.entrypoints.database_complaints import database_complaints
from bolti_server.entrypoints.serve import HttpServer
from bolti_server.entrypoints.worker_child import WorkerChild
from bolti_server.migrations.runner import migrate

DATABASE_WATCH_SECONDS = 0.5

# People copy lines: they stay whole.
console = Console(stderr=True, highlight=False, soft_wrap=True)


def run_server(
    directory: DataDirectory,
    listener: socket.socket,
    postgres: EmbeddedPostgres | None,
    starting: Future[str] | None,
    *,
    worker_capacity: int,
    writes_profile: bool,
) -> None:
    """Until Ctrl-C or SIGTERM. `starting` is the embedded PostgreSQL on its way up, and gives its DSN.

    Raises CannotStart for a database that can't be used.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(_dev(directory, listener, postgres, starting, worker_capacity, writes_profile))


async def _dev(
    directory: DataDirectory,
    listener: socket.socket,
    postgres: EmbeddedPostgres | None,
    starting: Future[str] | None,
    worker_capacity: int,
    writes_profile: bool,
) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    settings = _settings(directory, listener.getsockname()[1])
    worker = WorkerChild(settings, capacity=worker_capacity, log_file=directory.path / "worker.log")
    try:
        if starting is not None:
            dsn = await asyncio.wrap_future(starting)
            settings = settings.model_copy(update={"database_url": dsn})
        async with AsyncExitStack() as stack:
            with database_complaints():
                await migrate(settings.database_url or "")
                world = await stack.enter_async_context(open_world(settings))
                seeded = await seed(world, directory.path / "seed.json")
            async with HttpServer(build_app(world), listener):
                await worker.start()  # not before: its imports take a core for seconds
                state = {"base_url": settings.public_url, **attrs.asdict(seeded)}
                directory.write_state({**state, "worker_pid": worker.pid})
                _announce(directory, settings, seeded, writes_profile=writes_profile)
                watch = asyncio.create_task(
                    _watch(postgres, worker, directory, state), name="watch children"
                )
                try:
                    await _either(stopping, watch)
                finally:
                    watch.cancel()
                    console.print("Stopping: live calls are ended, then the server stops.")
                    await worker.stop()
    finally:
        await worker.stop()


def _settings(directory: DataDirectory, port: int) -> Settings:
    secrets = directory.secrets()
    url = f"http://127.0.0.1:{port}"
    return Settings(
        data_dir=directory.path,
        secret_key=secrets.secret_key,
        worker_token=secrets.worker_token,
        internal_url=url,
        public_url=url,
        host="127.0.0.1",
        port=port,
        is_private_delivery_allowed=True,
    )


async def _watch(
    postgres: EmbeddedPostgres | None,
    worker: WorkerChild,
    directory: DataDirectory,
    state: dict[str, str],
) -> None:
    """Starts again what died. Ends only by being cancelled, or by PostgreSQL that can't be started any more."""
    while True:
        await asyncio.sleep(DATABASE_WATCH_SECONDS)
        if await worker.restart_if_dead():
            directory.write_state({**state, "worker_pid": worker.pid})
            console.print(
                f"[yellow]The worker had died; a new one is starting. Why: {directory.path}/worker.log[/yellow]"
            )
        if postgres is not None and not await asyncio.to_thread(postgres.is_running):
            console.print("[yellow]PostgreSQL had died; starting it again.[/yellow]")
            await asyncio.to_thread(postgres.start)


async def _either(stopping: asyncio.Event, watch: asyncio.Task[None]) -> None:
    asked = asyncio.create_task(stopping.wait(), name="wait for a signal")
    done, _ = await asyncio.wait({asked, watch}, return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if watch in done:
        watch.result()


def _announce(
    directory: DataDirectory, settings: Settings, seeded: Seeded, *, writes_profile: bool
) -> None:
    console.print(
        f"\n[bold]Bolti is running[/bold] at {settings.public_url}   (reference: {settings.public_url}/docs)"
    )
    console.print(f"API key      {seeded.api_key}")
    console.print(f"Workspace    {seeded.workspace_id}")
    console.print(f"Agent        {seeded.agent_id}   calls from {seeded.from_number}")
    console.print(f"Data         {directory.path}   (worker's log: worker.log)")
    client = f'Bolti(api_key="{seeded.api_key}", base_url="{settings.public_url}")'
    if writes_profile:
        client = "Bolti()"
        # The client costs a third of a second to import: by now the API answers.
        profile = importlib.import_module("bolti._profile").write_profile(
            base_url=settings.public_url, api_key=seeded.api_key, workspace_id=seeded.workspace_id
        )
        console.print(f"Profile      {profile}   (so `Bolti()` needs no settings)")
    console.print(
        "\n[bold]Try next[/bold], with this environment's python in another terminal:\n\n"
        "    from bolti import Bolti\n"
        f"    bolti = {client}\n"
        f'    call = bolti.agents.outbound_call("{seeded.agent_id}", to_number="+12025550100")\n'
        "    print(bolti.conversations.wait_until_ended(call.conversation_id).hangup)\n\n"
        "Ctrl-C stops everything."
    )
