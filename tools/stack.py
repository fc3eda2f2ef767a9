"""Runs a command beside a real LiveKit: installs what the stack needs, then runs in a network namespace of its own.

    python3 noxfile.py stack                       the stack suite: pytest tests/stack
    python3 noxfile.py stack -k killed             some of it
    python tools/stack.py --run COMMAND …          anything else in there (bench/rooms.py does)

Needs Linux, `unshare` and `ip`; Go for the livekit-server the first time (2-3 minutes, then it is kept in .nox/stack);
Redis from Debian, installed here where this runs as root. The phone network is `bolti-server phone-network` (the STAND-IN);
where a `livekit-sip` is on PATH the tests of REAL LIVEKIT-SIP run too, the same callees, scenarios and talks among them.

Rules: it never starts a service of the system and touches no network of this machine: everything listens inside the
namespace. What can't be had is told in capitals with what to do, and fails; only where no namespace can be made (no Linux)
nothing is run, which is told in capitals too, and fails where CI is set.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / ".nox" / "stack"
BIN = HOME / "bin"
LIVEKIT_MODULE = "github.com/livekit/livekit-server/cmd/server"
LIVEKIT_VERSION = "1.13.5"
INSTALL_SECONDS = 1200
# The media's address: livekit-server offers nothing on a loopback interface, so a pair of its own has to be there.
NAMESPACE_SCRIPT = """
set -e
ip link set lo up
ip link add v0 type veth peer name v1
ip addr add 10.9.9.1/24 dev v0
ip link set v0 up
ip link set v1 up
exec "$@"
"""
SUITE = [sys.executable, "-m", "pytest", "tests/stack", "-q", "--durations=15"]


class CannotHave(Exception):
    """Something that the stack needs can't be had; the message says what to do."""


def say(text: str) -> None:
    print(f"stack: {text}", flush=True)


# ---- The namespace ----


def namespace_command() -> list[str] | None:
    """What a command has to stand behind to run in a namespace of its own; None where this machine makes none."""
    if not sys.platform.startswith("linux") or not shutil.which("unshare"):
        return None
    options = ["--net"]
    if os.geteuid() != 0:
        # Stays the same user inside: PostgreSQL does not run as root, and the files stay ours.
        options += ["--map-current-user", "--keep-caps"]
    command = ["unshare", *options, "--", "sh", "-c", NAMESPACE_SCRIPT, "stack"]
    if not shutil.which("ip"):
        install_from_debian("iproute2", "ip", "the program that sets up a network namespace")
    tried = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        say(f"no namespace: {tried.stderr.strip()}")
        return None
    return command


# ---- What is installed ----


def environment() -> dict[str, str]:
    """With everything on PATH that the stack needs. Installs what is missing. Raises CannotHave."""
    BIN.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)])
    ensure_livekit_server()
    ensure_redis()
    found = {**os.environ, "PATH": path, "BOLTI_STACK": "inside"}
    if sip := shutil.which("livekit-sip"):
        install_from_debian("sip-tester", "sipp", "the telephone of the real SIP tests")
        install_from_debian("baresip-core", "baresip", "the telephone of the real SIP tests")
        say(f"STAND-IN AND REAL LIVEKIT-SIP ({sip}): calls go through both")
        found["BOLTI_STACK_LIVEKIT_SIP"] = sip
    else:
        say(
            "STAND-IN: there is no livekit-sip on PATH, so the phone network is bolti-server phone-network"
        )
        say(
            "NOT RUN: THE TESTS OF REAL LIVEKIT-SIP (callees, scenarios and talks over SIP, inbound INVITE, sipp, baresip)"
        )
    return found


def ensure_livekit_server() -> None:
    """The pinned livekit-server in .nox/stack/bin, built once by `go install`; the folder's stamp says which it is."""
    stamp, program = HOME / "livekit-server.version", BIN / "livekit-server"
    if program.exists() and stamp.exists() and stamp.read_text("ascii") == LIVEKIT_VERSION:
        return
    if (ready := shutil.which("livekit-server")) and LIVEKIT_VERSION in output_of(
        [ready, "--version"]
    ):
        say(f"livekit-server {LIVEKIT_VERSION} is on PATH: {ready}")
        return
    if not shutil.which("go"):
        raise CannotHave(
            f"There is no livekit-server {LIVEKIT_VERSION} on PATH and no Go to build it with. Install Go 1.26 or "
            f"newer, or put livekit-server {LIVEKIT_VERSION} on PATH."
        )
    say(
        f"building livekit-server {LIVEKIT_VERSION} with Go, once: 2-3 minutes, then it is kept in {HOME}"
    )
    building = {**os.environ, "GOBIN": str(HOME / "building"), "GOTOOLCHAIN": "local"}
    command = ["go", "install", f"{LIVEKIT_MODULE}@v{LIVEKIT_VERSION}"]
    began = time.monotonic()
    done = run_quietly(command, building)
    if done.returncode != 0:
        raise CannotHave(
            f"`{' '.join(command)}` failed. It needs Go 1.26 or newer and a Go module proxy that answers "
            f"(GOPROXY). Its last words:\n{last_words(done)}"
        )
    (HOME / "building" / "server").replace(program)
    stamp.write_text(LIVEKIT_VERSION, "ascii")
    say(f"built in {time.monotonic() - began:.0f} s")


def ensure_redis() -> None:
    """A redis-server. Debian's package `redis-tools` has it and no service: one program under several names, which it
    tells apart by how it was called. (`redis-server`, the package, would start one of the system.)"""
    if shutil.which("redis-server") or works_as_redis(BIN / "redis-server"):
        return
    install_from_debian("redis-tools", "redis-check-rdb", "Redis, without its service")
    link = BIN / "redis-server"
    link.unlink(missing_ok=True)
    link.symlink_to(shutil.which("redis-check-rdb") or "/usr/bin/redis-check-rdb")
    if not works_as_redis(link):
        raise CannotHave(
            "redis-check-rdb of this Debian does not work as redis-server. Put a redis-server on PATH."
        )


def works_as_redis(program: Path) -> bool:
    return program.exists() and "Redis server" in output_of([str(program), "--version"])


def install_from_debian(package: str, program: str, what: str) -> None:
    """Returns when `program` is on PATH. Raises CannotHave, which says what to do."""
    if shutil.which(program):
        return
    told = f"`{program}` ({what}) is missing. Install it (Debian and Ubuntu: apt-get install {package})."
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise CannotHave(told)
    say(f"installing {package} from Debian: {what}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update"],
        ["apt-get", "install", "--yes", "--no-install-recommends", package],
    ):
        done = run_quietly(command, quiet)
        if done.returncode != 0:
            raise CannotHave(
                f"{told} Here `{' '.join(command)}` failed; its last words:\n{last_words(done)}"
            )
    if not shutil.which(program):
        raise CannotHave(f"{told} The package was installed and did not bring it.")


def run_quietly(command: list[str], variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )


def output_of(command: list[str]) -> str:
    try:
        return run_quietly(command, dict(os.environ)).stdout
    except OSError:
        return ""


def last_words(done: subprocess.CompletedProcess[str]) -> str:
    return "\n".join((done.stdout + done.stderr).splitlines()[-15:])


# ---- The whole ----


def main(arguments: list[str]) -> NoReturn:
    """Goes on as what is to be run; the exit code where it can't."""
    is_suite = arguments[:1] != ["--run"]
    command = [*SUITE, *arguments] if is_suite else arguments[1:]
    what = "THE STACK SUITE" if is_suite else " ".join(command)
    try:
        inside = namespace_command()
        if inside is None:
            say(f"NOT RUN: {what}. IT NEEDS A NETWORK NAMESPACE OF ITS OWN: LINUX, `unshare` OF")
            say("UTIL-LINUX, AND THE RIGHT TO MAKE ONE (ROOT, OR UNPRIVILEGED USER NAMESPACES).")
            sys.exit(1 if os.environ.get("CI") else 0)
        variables = environment()
    except CannotHave as problem:
        say(f"CAN'T RUN {what}: SOMETHING IS MISSING.\n{problem}")
        sys.exit(1)
    wait_for_other_stacks()
    os.chdir(ROOT)
    # Takes the place of this process: who stops it stops the tests, and the lock is held for as long as they run.
    os.execvpe(inside[0], [*inside, *command], variables)


def wait_for_other_stacks() -> None:
    """Two stacks on one machine take each other's processor, and both fail by it: the second waits for the first."""
    lock = os.open(HOME / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    os.set_inheritable(lock, True)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("ANOTHER STACK RUNS HERE: WAITING FOR ITS END.")
        fcntl.flock(lock, fcntl.LOCK_EX)


if __name__ == "__main__":
    main(sys.argv[1:])
