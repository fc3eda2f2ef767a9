"""Fuzzes the real server with requests that schemathesis makes of the contract: nothing it thinks of may break it.

    python3 noxfile.py fuzz                        20,000 requests
    python tools/fuzz.py --requests 2000           fewer; --seed N begins elsewhere, --phases stateful takes one phase

Exit code 1 and a report where an answer is a 5xx, has a status or shape that the contract does not name, or says yes to
what the contract forbids. It brings its own PostgreSQL, server and account, in a folder that is removed.

Rules: a round is one phase with a budget of seconds of its own, so that no phase is skipped because another took its
time; rounds of all phases follow each other, each with another seed, until the requests are made. They are counted at the
server, not told by the client.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from bolti_server.base.embedded import EmbeddedPostgres
from bolti_server.base.settings import Settings
from bolti_server.bootstrap.seeding import seed
from bolti_server.bootstrap.web import build_app, open_world
from bolti_server.contract import structs
from bolti_server.entrypoints.serve import HttpServer
from bolti_server.migrations.runner import migrate
from bolti_server.web.rate_limits import RatePolicy
from bolti_server.workspaces.creating import create_api_key

PHASES = ("examples", "coverage", "fuzzing", "stateful")
REQUESTS = 20_000
ROUND_SECONDS = 90  # it takes 10 to 20 before the first request
SLACK_SECONDS = 90  # to start Python and to load the contract, on a busy machine
SEED = 20261124
HOOKS = Path(__file__).with_name("fuzz_hooks.py")  # which findings are none, each with its reason
# 412 refuses too: schemathesis does not count it, and calls a request that it answers an accepted one.
CONFIG = f"""\
hooks = '{HOOKS}'

[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 412, 413, 415, 422, 428, 429]

"""
# Only the contract's own links: with the 600 that schemathesis infers besides, it follows one in a minute. What a link
# leads to is in the key's own workspace: an invented one would be a 404 for every other request.
STATEFUL_CONFIG = (
    CONFIG
    + """\
[parameters]
"path.workspace_id" = "current"

[phases.stateful]
max-steps = 8
generation.mode = "positive"
inference.algorithms = []
"""
)

Message = MutableMapping[str, Any]
Asgi = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]


@dataclass
class Counted:
    """An ASGI app that counts its answers by status."""

    app: Any
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def requests(self) -> int:
        return self.statuses.total()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.app, name)

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.statuses[message["status"]] += 1
            await send(message)

        await self.app(scope, receive, counting)


@dataclass(frozen=True)
class Round:
    """One run of one phase. `is_run`: the phase was not skipped."""

    phase: str
    is_clean: bool
    is_run: bool
    output: str


async def run_round(
    url: str, api_key: str, folder: Path, *, phase: str, seconds: int, seed: int
) -> Round:
    """`folder`: of the whole run; what one round has ended, the next ones know from it. Raises TimeoutError."""
    config = folder / "schemathesis.toml"
    await asyncio.to_thread(config.write_text, STATEFUL_CONFIG if phase == "stateful" else CONFIG)
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "schemathesis.cli",
            "--config-file",
            str(config),
            "run",
            f"{url}/openapi.json",
        ),
        *("--header", f"Authorization: Bearer {api_key}", "--phases", phase),
        *("--checks", "all", "--continue-on-failure"),
        *("--max-time", str(seconds), "--request-timeout", "20", "--seed", str(seed)),
        *("--warnings", "off", "--no-color"),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(seconds + SLACK_SECONDS):
            told, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    output = told.decode("utf-8", "replace")
    return Round(phase, process.returncode == 0, is_phase_run(output, phase), output)


def is_phase_run(output: str, phase: str) -> bool:
    """By the summary's line of the phase: a sign and its name, and behind it why it was not run, if so."""
    lines = [line.split() for line in output.splitlines()]
    return any(len(words) == 2 and words[1].lower() == phase for words in lines)


async def fuzz(requests: int, phases: Sequence[str], first_seed: int, seconds: int) -> int:
    """Exit code."""
    with tempfile.TemporaryDirectory(prefix="bolti-fuzz-") as name:
        folder = Path(name)
        postgres = EmbeddedPostgres(folder)
        dsn = await asyncio.to_thread(postgres.start)
        try:
            await migrate(dsn)
            return await _fuzz(dsn, folder, requests, phases, first_seed, seconds)
        finally:
            await asyncio.to_thread(postgres.stop)


async def _fuzz(
    dsn: str, folder: Path, requests: int, phases: Sequence[str], first_seed: int, seconds: int
) -> int:
    settings = Settings(
        data_dir=folder, database_url=dsn, secret_key="f" * 40, worker_token="w" * 40
    )
    async with open_world(settings) as world:
        seeded = await seed(world, folder / "seed.json")
        async with world.db.transaction() as tx:
            key = await create_api_key(
                tx,
                world.vault,
                seeded.workspace_id,
                name="fuzz",
                scopes=[scope.value for scope in structs.Scope],
            )
        app = Counted(build_app(world, rate=RatePolicy(burst=1_000_000, window_seconds=1)))
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            async with HttpServer(app, listener):  # type: ignore[arg-type]  # it is an ASGI app
                return await _rounds(
                    url, key.token, folder, app, requests, phases, first_seed, seconds
                )


async def _rounds(
    url: str,
    api_key: str,
    folder: Path,
    app: Counted,
    requests: int,
    phases: Sequence[str],
    first_seed: int,
    seconds: int,
) -> int:
    broken: list[Round] = []
    count = 0
    while app.requests < requests or count < len(phases):
        phase = phases[count % len(phases)]
        done = await run_round(
            url, api_key, folder, phase=phase, seconds=seconds, seed=first_seed + count
        )
        count += 1
        word = "clean" if done.is_clean else "BROKEN"
        print(
            f"{word:7} {phase:9} seed {first_seed + count - 1}: {app.requests} requests", flush=True
        )
        if "--verbose" in sys.argv:
            print(done.output[-6000:])
        if not (done.is_clean and done.is_run):
            broken.append(done)
            print(done.output[-20_000:], flush=True)
    print(f"{app.requests} requests in {count} rounds; answers by status:")
    print(", ".join(f"{status}: {n}" for status, n in sorted(app.statuses.items())))
    server_errors = sum(n for status, n in app.statuses.items() if status >= 500)
    print(f"5xx: {server_errors}; rounds that found something: {len(broken)}")
    return 1 if broken or server_errors else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--requests", type=int, default=REQUESTS, help="how many at least")
    parser.add_argument("--phases", default=",".join(PHASES), help="which of " + ", ".join(PHASES))
    parser.add_argument("--seed", type=int, default=SEED, help="of the first round")
    parser.add_argument("--seconds", type=int, default=ROUND_SECONDS, help="of one round")
    parser.add_argument(
        "--verbose", action="store_true", help="what schemathesis says of each round"
    )
    wanted = parser.parse_args()
    phases = wanted.phases.split(",")
    if unknown := set(phases) - set(PHASES):
        parser.error(f"there is no phase {', '.join(sorted(unknown))}")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:  # as `serve` does
        return loop.run(fuzz(wanted.requests, phases, wanted.seed, wanted.seconds))


if __name__ == "__main__":
    sys.exit(main())
