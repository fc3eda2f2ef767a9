"""What is published: each distribution carries the contract, which the installed server reads."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

SERVER = Path(__file__).resolve().parents[2] / "server"
CONTRACT = "bolti_server/api/openapi.yaml"


def built(kind: str, source: Path, into: Path) -> Path:
    """The one file that hatchling makes."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(into)]
    subprocess.run(command, cwd=source, check=True, capture_output=True, timeout=120)
    (made,) = into.iterdir()
    return made


def test_a_wheel_can_be_built_from_the_source_distribution_alone(tmp_path: Path) -> None:
    with tarfile.open(built("sdist", SERVER, tmp_path / "sdist")) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (source,) = (tmp_path / "unpacked").iterdir()
    with zipfile.ZipFile(built("wheel", source, tmp_path / "wheel")) as wheel:
        carried = wheel.read(CONTRACT)
    assert carried == (SERVER.parent / "contracts" / "openapi.yaml").read_bytes()
