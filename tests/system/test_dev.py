"""`bolti-server dev` and `demo` as a newcomer meets them."""

from __future__ import annotations

import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from tests.system.conftest import Stack, remove_database

CLI = [sys.executable, "-m", "bolti_server.entrypoints.cli"]


def cli(*arguments: str, timeout_seconds: float = 100) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CLI, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_help_teaches_the_first_command() -> None:
    done = cli("--help")
    assert done.returncode == 0
    assert "bolti-server demo" in done.stdout


def test_an_unknown_option_is_named() -> None:
    done = cli("dev", "--prot", "1")
    assert done.returncode == 2
    assert "--port" in done.stderr


def test_a_second_dev_on_the_same_folder_says_where_the_first_one_answers(
    shared_stack: Stack,
) -> None:
    done = cli(
        "dev", "--no-profile", "--port", "0", "--data-dir", str(shared_stack.running.data_dir)
    )
    assert done.returncode == 2
    assert shared_stack.running.base_url in done.stderr.replace("\n", "")


def test_a_taken_port_is_named_with_the_way_out(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = cli("dev", "--no-profile", "--port", str(port), "--data-dir", str(tmp_path))
    assert done.returncode == 2
    assert f"Port {port} is taken" in done.stderr
    assert "--port" in done.stderr


@pytest.mark.parametrize("command", ["dev", "demo"])
def test_a_data_folder_that_can_not_be_made_is_named_with_the_way_out(
    tmp_path: Path, command: str
) -> None:
    file = tmp_path / "file"
    file.touch()
    done = cli(command, "--data-dir", str(file / "data"))
    assert done.returncode == 2
    assert "can't be used: Not a directory" in done.stderr + done.stdout
    assert "--data-dir" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout


def test_the_profile_and_the_secrets_are_for_this_user_alone(shared_stack: Stack) -> None:
    for file in (shared_stack.profile, shared_stack.running.data_dir / "secrets.json"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_serve_refuses_to_start_without_its_secrets_and_names_them(tmp_path: Path) -> None:
    done = cli("serve")
    assert done.returncode == 2
    for name in ("BOLTI_DATABASE_URL", "BOLTI_SECRET_KEY", "BOLTI_WORKER_TOKEN"):
        assert name in done.stderr


@pytest.mark.slow
def test_the_demo_shows_a_whole_call(tmp_path: Path) -> None:
    done = cli("demo", "--data-dir", str(tmp_path / "data"))
    assert remove_database(tmp_path / "data") == []
    assert done.returncode == 0, done.stdout + done.stderr
    steps = ["dialing", "ringing", "answered", "agent", "callee", "tool", "ended: agent_hangup"]
    found = [done.stdout.index(step) for step in steps]
    assert found[:3] == sorted(found[:3])
    for words in ("answered in", "p50", "₹", "test ledger", "stereo", "signature verified"):
        assert words in done.stdout, done.stdout
    assert "from bolti import Bolti" in done.stdout
    assert list((tmp_path / "data" / "demo").glob("conv_*.ogg"))


@pytest.mark.slow
def test_the_demo_of_a_busy_callee_ends_well_too(shared_stack: Stack) -> None:
    """Beside a `dev` that runs: the demo uses it."""
    folder = str(shared_stack.running.data_dir)
    done = cli("demo", "--data-dir", folder, "--to", "+12025550101")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ended: busy" in done.stdout
    assert "using it" in done.stdout


def test_the_demo_of_a_number_that_is_not_simulated_is_refused_in_plain_words(
    shared_stack: Stack,
) -> None:
    folder = str(shared_stack.running.data_dir)
    done = cli("demo", "--data-dir", folder, "--to", "+919876543210")
    assert done.returncode == 1
    assert "simulated" in done.stdout
