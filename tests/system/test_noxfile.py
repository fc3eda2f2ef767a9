"""What `python3 noxfile.py …` makes of its words, before it hands them to nox."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

NOXFILE = Path(__file__).resolve().parents[2] / "noxfile.py"


@pytest.fixture(scope="module")
def noxfile() -> ModuleType:
    """Loaded once: nox does not like to meet a session twice."""
    found = importlib.util.spec_from_file_location("noxfile", NOXFILE)
    assert found is not None
    assert found.loader is not None
    loaded = importlib.util.module_from_spec(found)
    found.loader.exec_module(loaded)
    return loaded


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ([], []),
        (["--list"], ["--list"]),
        (["style", "types"], ["-s", "style", "types"]),
        (["tests", "-k", "name"], ["-s", "tests", "--", "-k", "name"]),
        (["tests", "tests/sdk"], ["-s", "tests", "--", "tests/sdk"]),
        (["bench", "rooms", "turns"], ["-s", "bench", "--", "rooms", "turns"]),
        (["style", "bench", "rooms"], ["-s", "style", "bench", "--", "rooms"]),
        (["bench", "--", "rooms"], ["-s", "bench", "--", "rooms"]),
        (["bench"], ["-s", "bench"]),
    ],
)
def test_words_are_sessions_and_what_follows_is_for_their_program(
    noxfile: ModuleType, typed: list[str], meant: list[str]
) -> None:
    assert noxfile.as_nox_arguments(typed) == meant
