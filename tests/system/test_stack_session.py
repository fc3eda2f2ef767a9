"""The stack suite is not run by accident, and not skipped in silence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(command: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "BOLTI_STACK")}
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**kept, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_pytest_alone_says_what_to_run_instead() -> None:
    done = run(["-m", "pytest", "tests/stack", "-q", "-p", "no:cacheprovider"])
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "NONE OF THEM WAS RUN. RUN INSTEAD" in done.stderr
    assert "python3 noxfile.py stack" in done.stderr


@pytest.mark.parametrize(("variables", "code"), [({}, 0), ({"CI": "true"}, 1)])
def test_a_machine_without_namespaces_says_in_capitals_what_was_not_run(
    tmp_path: Path, variables: dict[str, str], code: int
) -> None:
    done = run(["tools/stack.py"], PATH=str(tmp_path), **variables)
    assert "NOT RUN: THE STACK SUITE" in done.stdout
    assert done.returncode == code, "CI must run it"
