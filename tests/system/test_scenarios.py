"""The library of scenarios and the guide about testing agents: `bolti test` as a user runs it, beside a whole `dev`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml
from tests.system.conftest import Stack, remove_database, wait_until

from bolti_server.simulated.scenarios import expectations, steps
from bolti_server.simulated.scenarios.parsing import parse

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "examples" / "scenarios"
SCENARIOS = sorted(LIBRARY.glob("*.yaml"))
GUIDE = (ROOT / "docs" / "guides" / "testing-agents.md").read_text("utf-8")
LONGEST_SECONDS = 90  # issue 4: the whole library
_BLOCK = re.compile(r"<!-- test: (?P<name>[^>]+?) -->\n```\w+\n(?P<code>.*?)```", re.DOTALL)
BLOCKS = {match["name"]: match["code"] for match in _BLOCK.finditer(GUIDE)}


def program(stack: Stack, *arguments: str, timeout: float) -> subprocess.CompletedProcess[str]:
    """A Python of the user's, beside a `dev` that wrote its profile."""
    environment = {name: value for name, value in os.environ.items() if "BOLTI" not in name}
    return subprocess.run(
        [sys.executable, *arguments],
        env={**environment, "BOLTI_PROFILE": str(stack.profile)},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.mark.slow
def test_the_library_passes_in_ninety_seconds(shared_stack: Stack, tmp_path: Path) -> None:
    junit = tmp_path / "report.xml"
    began = time.monotonic()
    arguments = ("-m", "bolti", "test", str(LIBRARY), "--parallel", "4", "--junit", str(junit))
    done = program(shared_stack, *arguments, timeout=2 * LONGEST_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASS") == len(SCENARIOS)
    assert "not judged" not in done.stdout
    assert time.monotonic() - began < LONGEST_SECONDS
    assert ET.parse(junit).getroot().get("tests") == str(len(SCENARIOS))
    left = [each.name for each in shared_stack.bolti.agents.list()]
    assert not [name for name in left if name.startswith("bolti test: ")]


@pytest.mark.slow
def test_the_library_passes_on_the_text_line(shared_stack: Stack) -> None:
    done = program(shared_stack, "-m", "bolti", "test", str(LIBRARY), "--line", "text", timeout=90)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(SCENARIOS)} passed in" in done.stdout
    assert "not judged" not in done.stdout


@pytest.mark.slow
def test_the_guide_s_scenario_fails_where_the_agent_says_something_else(
    shared_stack: Stack, tmp_path: Path
) -> None:
    file = tmp_path / "greeting.yaml"
    file.write_text(
        BLOCKS["greeting"].replace("{contains: assistant}", "{contains: dentist}"), encoding="utf-8"
    )
    done = program(shared_stack, "-m", "bolti", "test", str(file), timeout=60)
    assert done.returncode == 1, done.stdout + done.stderr
    lines = file.read_text("utf-8").splitlines()
    line = lines.index("  - agent_says: {contains: dentist}") + 1
    assert f'- line {line}   The agent says something with "dentist".' in done.stdout
    assert '"I am the assistant of Bright Dental."' in done.stdout
    assert "callee  Who is calling, please?" in done.stdout


@pytest.mark.slow
def test_a_broken_scenario_is_told_by_the_command(shared_stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "greeting.yaml"
    file.write_text(
        BLOCKS["greeting"].replace("  - wait_for_agent\n", "  - wait_for_agnt\n", 1),
        encoding="utf-8",
    )
    done = program(shared_stack, "-m", "bolti", "test", str(file), timeout=60)
    assert done.returncode == 2, done.stdout + done.stderr
    told = f"{file}:16:5: A callee has no step 'wait_for_agnt'. Did you mean wait_for_agent?"
    assert told in done.stdout


@pytest.mark.slow
def test_the_guide_s_code_runs_as_printed(shared_stack: Stack) -> None:
    done = program(shared_stack, "-c", BLOCKS["from code"], timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["True The call ends with busy. ", "passed"]


def test_the_guide_s_scenario_is_whole() -> None:
    assert parse(BLOCKS["greeting"]).name == "Greeting"


@pytest.mark.slow
def test_the_guide_s_workflow_runs_as_printed(tmp_path: Path) -> None:
    """But for `pip install`, for the port (another `dev` may have 8000), and for GitHub."""
    (job,) = yaml.safe_load(BLOCKS["actions"])["jobs"].values()
    start, run = (each["run"] for each in job["steps"][3:5])
    assert start.startswith("bolti-server dev ")
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "greeting.yaml").write_text(BLOCKS["greeting"], encoding="utf-8")
    failing = BLOCKS["greeting"].replace("{contains: assistant}", "{contains: dentist}")
    (tmp_path / "scenarios" / "failing.yaml").write_text(failing, encoding="utf-8")
    data_dir = tmp_path / "temp" / "bolti"
    environment = {name: value for name, value in os.environ.items() if "BOLTI" not in name}
    environment |= {
        "BOLTI_PROFILE": str(tmp_path / ".bolti" / "profile.json"),
        "RUNNER_TEMP": str(tmp_path / "temp"),
        "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}",
    }
    script = f"{start}\n{run}".replace("bolti-server dev", "bolti-server dev --port 0")
    job_shell = subprocess.Popen(
        ["bash", "-e", "-c", script],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # as a runner does: what a step leaves running is its to end
    )
    try:
        told, _ = job_shell.communicate(timeout=150)
    finally:
        os.killpg(job_shell.pid, signal.SIGTERM)
    wait_until(lambda: not (data_dir / "dev.json").exists(), 40, "dev has stopped")
    assert remove_database(data_dir) == []
    assert job_shell.returncode == 1, told
    assert "1 failed, 1 passed" in told or "1 passed, 1 failed" in told, told
    report = ET.parse(tmp_path / "report.xml").getroot()
    assert (report.get("tests"), report.get("failures")) == ("2", "1")


def test_the_guide_names_every_step_and_every_expectation() -> None:
    for name in (*steps.NAMES, *expectations.NAMES):
        assert f"`{name}" in GUIDE, name


def test_the_library_is_whole_and_the_guide_shows_every_one() -> None:
    assert len(SCENARIOS) == 12
    for path in SCENARIOS:
        scenario = parse(path.read_text("utf-8"))
        assert f"[{scenario.name}](../../examples/scenarios/{path.name})" in GUIDE
        assert f"(pictures/{path.stem}.svg)" in GUIDE
        assert scenario.expectations, path


def test_the_pictures_are_those_of_the_scenarios() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "draw_scenarios.py"), "--check"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
