"""contracts/scenario.schema.json says what the parser does: the same names, the same limits, the same yes and no."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from bolti_server.calls.hangups import HangupCode
from bolti_server.simulated.scenarios import expectations, steps
from bolti_server.simulated.scenarios import scenario as limits
from bolti_server.simulated.scenarios.nodes import node_of, plain
from bolti_server.simulated.scenarios.parsing import BrokenScenario, parse

ROOT = Path(__file__).resolve().parents[4]
SCHEMA = json.loads((ROOT / "contracts" / "scenario.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema_rs.validator_for(SCHEMA)
STEP = SCHEMA["$defs"]["step"]["anyOf"]
EXPECTATION = SCHEMA["$defs"]["expectation"]["properties"]
EXAMPLES = sorted((ROOT / "examples" / "scenarios").glob("*.yaml"))

# Values of every kind, at the limits and one over them, at every place that takes one.
VALUES = (
    "null", "true", "false", "0", "1", "-1", "0.5", "2.0", "1.5", "x", "''", "'  '", "5000", "5001", "60000", "60001",
    "120000", "120001", "14400", "14401", "busy", "unreachable", "agent_hangup", "[]", "[1]", "{}", "{a: 1}", "'12#'",
    "12w", "1 2", "X" * 32, "1" * 33, "x" * 100, "x" * 101, "x" * 255, "x" * 256, "x" * 500, "x" * 501, "x" * 1000,
    "x" * 1001, "{contains: x}", "{exact: 1}", "{regex: a+}", "{contains: ''}", "{contains: x, exact: x}",
    "{contains: [x]}", "{like: x}", "{name: x}", "{name: x, arguments: {a: [1]}}", "{name: x, arguments: 1}",
    "{arguments: {}}", "{level: 1}", "{level: 1, ms: 0}", "{level: 0.1, ms: 120000}", "{level: 2}", "{ms: 1}",
)  # fmt: skip


def documents() -> Iterator[str]:
    for value in VALUES:
        yield value
        for member in ("name", "description", "agent", "variable_values", "expect", "other"):
            name = "" if member == "name" else "name: x\n"
            yield f"{name}{member}: {value}\ncallee: [answer]\n"
        yield f"name: x\ncallee: {value}\n"
        yield f"name: x\ncallee: [answer]\nvariable_values: {{a: {value}}}\n"
        for step in (*steps.NAMES, "other"):
            yield f"name: x\ncallee:\n{before(step)}  - {step}: {value}\n{after(step)}"
        for name in (*expectations.NAMES, "other"):
            yield f"name: x\ncallee: [answer]\nexpect:\n  - {name}: {value}\n"
    for step in (*steps.NAMES, "other"):
        yield f"name: x\ncallee:\n{before(step)}  - {step}\n{after(step)}"


def before(step: str) -> str:
    """The order of steps is not in the schema: so each stands where it may."""
    return "" if step in ("ring", *steps.OUTCOMES) else "  - answer\n"


def after(step: str) -> str:
    return "  - answer\n" if step == "ring" else ""


def is_read(text: str) -> bool:
    try:
        parse(text)
    except BrokenScenario:
        return False
    return True


def is_in_schema(text: str) -> bool:
    node = node_of(text)
    return node is not None and VALIDATOR.is_valid(plain(node))


def test_schema_and_parser_take_and_refuse_the_same() -> None:
    # What JSON Schema can't tell apart: 2.0 and 2 are one integer to it, but one of them can't be pressed.
    texts = [text for text in documents() if "press: 2.0" not in text]
    verdicts = {text: (is_read(text), is_in_schema(text)) for text in texts}
    assert sum(read for read, _ in verdicts.values()) > 100
    assert sum(not read for read, _ in verdicts.values()) > 1000
    assert [text for text, (read, valid) in verdicts.items() if read != valid] == []


def test_the_names_are_the_same() -> None:
    assert set(STEP[1]["properties"]) == set(steps.NAMES)
    assert set(STEP[0]["enum"]) <= set(steps.NAMES)
    assert set(EXPECTATION) == set(expectations.NAMES)
    assert set(STEP[1]["properties"]["fail"]["enum"]) == set(limits.FAILURES)
    assert set(EXPECTATION["ends_with"]["enum"]) == set(expectations.HANGUP_CODES)


def test_the_numbers_of_entries_are_the_same() -> None:
    members = SCHEMA["properties"]
    assert members["callee"]["maxItems"] == limits.MOST_STEPS
    assert members["expect"]["maxItems"] == limits.MOST_EXPECTATIONS
    assert members["variable_values"]["maxProperties"] == limits.MOST_VARIABLES


def test_every_hangup_code_can_be_expected_and_every_failure_is_one() -> None:
    assert set(expectations.HANGUP_CODES) == set(HangupCode)
    assert set(limits.FAILURES) <= set(HangupCode)


def test_the_contract_of_the_api_has_the_same_limit_on_a_script() -> None:
    text = (ROOT / "contracts" / "openapi.yaml").read_text("utf-8")
    assert f"maxLength: {limits.LONGEST_SCRIPT}\n" in text


def test_every_part_of_the_schema_is_described() -> None:
    def undescribed(schema: Any, path: str) -> Iterator[str]:
        for name, each in schema.get("properties", {}).items():
            if "description" not in each and each.get("type") not in ("null", None):
                yield f"{path}/{name}"

    assert list(undescribed(STEP[1], "step")) == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_in_the_schema(path: Path) -> None:
    assert is_in_schema(path.read_text("utf-8"))
