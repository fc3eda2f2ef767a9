"""deploy/Dockerfile: what it copies is there, what it installs is pinned, and it does not run as root."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text("utf-8")
LINES = DOCKERFILE.replace("\\\n", " ").splitlines()


def instructions(name: str) -> list[str]:
    return [line.removeprefix(name).strip() for line in LINES if line.startswith(f"{name} ")]


def test_what_it_copies_is_there_and_not_ignored() -> None:
    ignore = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    kept = [line.removeprefix("!").removesuffix("/*.txt") for line in ignore if line[0:1] == "!"]
    copied = [each for each in instructions("COPY") if not each.startswith("--from")]
    assert len(copied) >= 4
    for each in copied:
        for source in each.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert any(source == name or source.startswith(f"{name}/") for name in kept), source


def test_both_stages_stand_on_the_same_slim_python() -> None:
    assert [each.split()[0] for each in instructions("FROM")] == ["python:3.12-slim"] * 2


def test_nothing_is_installed_that_is_not_pinned_by_hash_or_built_here() -> None:
    installs = re.findall(r"pip install [^&\n]*", "\n".join(instructions("RUN")))
    assert len(installs) == 3
    for each in installs:
        assert "--require-hashes" in each or "--no-index" in each, each


def test_it_runs_as_somebody_without_rights() -> None:
    (user,) = instructions("USER")
    assert user.split(":")[0].isdigit()
    assert user.split(":")[0] != "0"
    assert LINES.index(f"USER {user}") > max(
        number for number, line in enumerate(LINES) if line.startswith("RUN ")
    )
    assert instructions("ENTRYPOINT") == ['["bolti-server"]']


def test_the_wheels_that_it_builds_have_all_that_they_need(tmp_path: Path) -> None:
    """As its RUN line does it, from the folders that it copies."""
    for name in ("sdk", "server"):
        assert f"cd {name} &&" in DOCKERFILE or f"cd ../{name} &&" in DOCKERFILE
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
        subprocess.run(command, cwd=ROOT / name, check=True, capture_output=True, timeout=120)
    wheels = sorted(tmp_path.glob("*.whl"))
    assert len(wheels) == 2
    (server,) = [each for each in wheels if "server" in each.name]
    with zipfile.ZipFile(server) as archive:
        names = archive.namelist()
    assert "bolti_server/api/openapi.yaml" in names
    assert "bolti_server/migrations/sql/0008_rooms.sql" in names
    assert "bolti_server/entrypoints/doctor/__init__.py" in names
