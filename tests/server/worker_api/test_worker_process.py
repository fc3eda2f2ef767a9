"""The worker as a process of its own: what it says when it can't start, and that it goes when it is told to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

COMMAND = [sys.executable, "-m", "bolti_server.entrypoints.worker"]


def environment(**settings: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("BOLTI_", "LIVEKIT_"))
    }
    return {**kept, **settings}


def test_a_missing_token_is_told_by_its_name() -> None:
    ran = subprocess.run(COMMAND, env=environment(), capture_output=True, text=True, timeout=60)

    assert ran.returncode == 2
    assert "BOLTI_WORKER_TOKEN" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_worker_without_a_server_says_so_once_and_stops_when_told(tmp_path: Path) -> None:
    process = subprocess.Popen(
        COMMAND,
        env=environment(
            BOLTI_WORKER_TOKEN="secret-token",
            BOLTI_INTERNAL_URL="http://127.0.0.1:9",
            BOLTI_DATA_DIR=str(tmp_path),
        ),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if "cannot_claim" in line:
            break
    process.send_signal(signal.SIGTERM)
    rest = process.stderr.read()

    assert process.wait(timeout=20) == 0
    assert "cannot_claim" in lines[-1]
    assert "cannot_claim" not in rest
    assert "secret-token" not in "".join([*lines, rest])


def test_a_worker_whose_parent_is_gone_goes_by_itself(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    ran = subprocess.run(
        COMMAND,
        env=environment(
            BOLTI_WORKER_TOKEN="secret-token",
            BOLTI_INTERNAL_URL="http://127.0.0.1:9",
            BOLTI_DATA_DIR=str(tmp_path),
            BOLTI_WORKER_PARENT_PID=str(gone.pid),
        ),
        capture_output=True,
        timeout=60,
    )

    assert ran.returncode == 0


def test_livekit_without_its_key_is_told_before_anything_starts() -> None:
    ran = subprocess.run(
        COMMAND,
        env=environment(BOLTI_WORKER_TOKEN="secret-token", LIVEKIT_URL="livekit.example.com"),
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ran.returncode == 2
    assert "LIVEKIT_API_KEY is missing" in ran.stderr
    assert "LIVEKIT_API_SECRET is missing" in ran.stderr
    assert "LIVEKIT_URL" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_livekit_that_can_t_be_reached_is_told_once_and_keeps_nobody_from_stopping(
    tmp_path: Path,
) -> None:
    process = subprocess.Popen(
        COMMAND,
        env=environment(
            BOLTI_WORKER_TOKEN="secret-token",
            BOLTI_INTERNAL_URL="http://127.0.0.1:9",
            BOLTI_DATA_DIR=str(tmp_path),
            BOLTI_WORKER_WARM="0",
            LIVEKIT_URL="ws://127.0.0.1:9",
            LIVEKIT_API_KEY="key",
            LIVEKIT_API_SECRET="livekit-secret-of-the-tests-0123456789",
        ),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        told = "".join(lines)
        if "livekit_unreachable" in told and "cannot_claim" in told:
            break
    process.send_signal(signal.SIGTERM)
    rest = process.stderr.read()

    assert process.wait(timeout=30) == 0
    assert "".join([*lines, rest]).count("livekit_unreachable") == 1
    assert "failed to connect to livekit" not in "".join([*lines, rest])
    assert "livekit-secret" not in "".join([*lines, rest])
    assert list((tmp_path / "worker").glob("drain-*")) == []
