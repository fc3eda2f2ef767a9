"""`bolti-server`: one command a process. Options and help live here; each command's code is loaded when it runs.

Rule: `--help` answers at once and teaches. So this module imports nothing heavy, and `_start` loads the command's module
by name (the server costs a second to import, the worker three).
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import rich_click as click

from bolti_server import __version__

_EPILOG = """
First time here?  `bolti-server demo` places a call to a simulated callee and shows it live.
Then `bolti-server dev` keeps a server running for your own code.
"""


def _start(module: str, **options: Any) -> None:
    sys.exit(importlib.import_module(f"bolti_server.entrypoints.{module}").run(**options))


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EPILOG)
@click.version_option(__version__, prog_name="bolti-server")
def main() -> None:
    """Bolti puts AI voice agents on the phone network. This is the server that carries the calls out."""


_DATA_DIR = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="BOLTI_DATA_DIR",
    help="Where the database, recordings and secrets of this machine live "
    "[default: the user's data folder; as root /var/lib/bolti].",
)


@main.command()
@_DATA_DIR
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="0 picks a free one.",
)
@click.option(
    "--worker-capacity",
    type=click.IntRange(1, 200),
    default=10,
    show_default=True,
    help="Calls at once.",
)
@click.option(
    "--no-profile",
    is_flag=True,
    help="Do not write the client profile that makes `Bolti()` work as it is.",
)
def dev(**options: Any) -> None:
    """Run everything on this machine: embedded PostgreSQL, server and one worker, with simulated phone lines.

    Makes a workspace with an agent, four simulated numbers and an API key the first time, and writes the profile that lets
    `Bolti()` find them. No account and no key is needed. Stop it with Ctrl-C; the next start continues with the same data.
    """
    _start("dev", **options)


@main.command()
def serve() -> None:
    """Run the HTTP API and the background jobs, for production.

    Settings come from the environment: BOLTI_DATABASE_URL, BOLTI_SECRET_KEY, BOLTI_WORKER_TOKEN and BOLTI_PUBLIC_URL are
    needed; BOLTI_HOST, BOLTI_PORT, BOLTI_OBJECT_STORE_URL, BOLTI_MODEL_BASE_URLS may be set.
    """
    _start("serve")


@main.command()
def worker() -> None:
    """Run an agent worker: the process that talks. Start as many as you have machines for.

    Needs BOLTI_INTERNAL_URL (the server) and BOLTI_WORKER_TOKEN. Model keys (OPENAI_API_KEY, DEEPGRAM_API_KEY,
    CARTESIA_API_KEY) are read from its environment. SIGTERM drains: no new calls, live ones finish.
    """
    _start("worker")


@main.command()
@click.option(
    "--database-url",
    envvar="BOLTI_DATABASE_URL",
    required=True,
    help="postgresql://user@host/database",
)
def migrate(**options: Any) -> None:
    """Bring the database's tables up to this version. Safe to repeat, and from several machines at once."""
    _start("migrate", **options)


@main.command()
@click.option(
    "--worker",
    "is_worker",
    is_flag=True,
    help="Of a machine that runs workers only: what they need, and nothing else.",
)
@click.option("--json", "is_json", is_flag=True, help="For programs, on standard output.")
def doctor(**options: Any) -> None:
    """Tell what of this installation is missing or wrong, and what to do.

    Looks, with the settings of `serve` in the environment, at settings, database, tables, clocks, object store, LiveKit, its
    SIP service and Redis, the workers, and where they find the server. It changes nothing and dials nobody.
    Exit code 1 where there is a problem.
    """
    _start("doctor", **options)


@main.command()
@click.argument("name")
def create_workspace(**options: Any) -> None:
    """Make a workspace called NAME, with its first API key, a trial balance and four simulated numbers.

    For the operator of a `serve`: it needs the same BOLTI_DATABASE_URL and BOLTI_SECRET_KEY. The key is printed once, as
    JSON on standard output together with the ids; more keys are made over the API.
    """
    _start("create_workspace", **options)


@main.command()
@_DATA_DIR
@click.option(
    "--to", "to_number", default="+12025550100", show_default=True, help="Simulated callee to ring."
)
def demo(**options: Any) -> None:
    """Place a call and watch it: ringing, each turn as it is spoken, the tool call, the hang-up, then the record.

    Needs no key and no account. The callee is simulated: `--to +12025550101` is busy, `…02` never answers, `…03`
    declines, `…04` is no number, `…07` hangs up in mid-sentence, `…08` talks over the agent.
    """
    _start("demo", **options)


@main.command()
@click.option(
    "--port",
    "phone_network_port",
    type=click.IntRange(0, 65535),
    help="Where it answers, on 127.0.0.1 [default: BOLTI_PHONE_NETWORK_PORT or 7990]; 0 picks a free one.",
)
@click.option(
    "--voice",
    "phone_network_voice",
    type=click.Choice(["modem", "speech"]),
    help="How callees talk that nobody chose a voice for: in words that only Bolti's simulated models understand exactly "
    "(modem), or as people do (speech: for agents with real models) [default: BOLTI_PHONE_NETWORK_VOICE or modem].",
)
def phone_network(**options: Any) -> None:
    """Put simulated callees into the rooms of your own LiveKit server: every outcome of a phone call, without a trunk.

    It answers what LiveKit's SIP service would (dial, transfer, inbound trunks, dispatch rules), and whoever is dialed
    joins the room as a SIP participant. +12025550100 answers and talks, …01 is busy, …02 never answers, …03 declines,
    …04 is no number, …06 is a mailbox, …10 a menu; the guide phone-network.md has all of them.

    Needs LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET. Then start `bolti-server serve` and `worker` with the same
    three and BOLTI_LIVEKIT_SIP_URL=http://127.0.0.1:7990.
    """
    _start("phone_network", **options)


if __name__ == "__main__":
    main()
