"""The command line reads of a scenario's YAML what the server reads, so that an agent is made of what is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from bolti._cli.scenario_files import read
from bolti_server.simulated.scenarios.parsing import parse

ROOT = Path(__file__).resolve().parents[4]
EXAMPLES = sorted((ROOT / "examples" / "scenarios").glob("*.yaml"))
VALUES = (
    "x", "'x'", '"x"', "yes", "no", "on", "off", "true", "True", "TRUE", "tRue", "false", "FALSE", "null", "~", "Null",
    "nUll", "1", "-1", "0", "007", "+1", "0x10", "0o7", "1_000", "1e3", "1.5", "-1.5", "1.", ".5", ".inf", "12:30:45",
    "2026-11-25", "='", "<<", "'1'", "'null'", "[1, a, yes, null]", "{a: {b: 0.25}}", "123456789012345678",
    "1234567890123456789", "'a  b'", "é 🎈",
)  # fmt: skip


def both(path: Path) -> tuple[object, object]:
    ours, theirs = read(path), parse(path.read_text("utf-8"))
    return (ours.name, ours.agent, ours.variable_values), (
        theirs.name,
        theirs.agent,
        theirs.variable_values,
    )


@pytest.mark.parametrize("value", VALUES)
def test_a_value_means_the_same_on_both_sides(value: str, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(f"name: x\nagent:\n  a: {value}\ncallee: [answer]\n", encoding="utf-8")
    ours, theirs = both(path)
    assert ours == theirs
    assert repr(ours) == repr(theirs)  # 1 and True are equal


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_the_same_on_both_sides(path: Path) -> None:
    ours, theirs = both(path)
    assert repr(ours) == repr(theirs)
