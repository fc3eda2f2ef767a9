"""Code that people copy runs as it is printed: the README's blocks and every file of examples/."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.system.conftest import Stack

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"<!-- test: (?P<name>[^>]+?) -->\n```python\n(?P<code>.*?)```", re.DOTALL)
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def blocks(document: Path) -> dict[str, str]:
    return {match["name"]: match["code"] for match in _BLOCK.finditer(document.read_text("utf-8"))}


README = blocks(ROOT / "README.md")


def run(code: str, stack: Stack, folder: Path) -> str:
    """What the program prints, run as a user would beside a `dev` that wrote its profile."""
    environment = {name: value for name, value in os.environ.items() if "BOLTI" not in name}
    environment["BOLTI_PROFILE"] = str(stack.profile)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_python_block_of_the_readme_is_tested() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert text.count("```python") == len(README) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", README)
def test_the_readme_s_code_runs_as_printed(name: str, shared_stack: Stack, tmp_path: Path) -> None:
    printed = run(README[name], shared_stack, tmp_path)
    assert printed.strip()
    if name == "place a call":
        assert "completed agent_hangup" in printed
        assert (tmp_path / "call.ogg").read_bytes().startswith(b"OggS")


# What the client's page takes as given: a webhook as it comes.
_A_WEBHOOK = """
import datetime, pathlib, standardwebhooks
body = pathlib.Path({golden!r}).read_bytes()
secret, now = "whsec_" + "c2VjcmV0" * 4, datetime.datetime.now(datetime.UTC)
signature = standardwebhooks.Webhook(secret).sign("evt_1", now, body.decode())
headers = {{"webhook-id": "evt_1", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}}
"""


@pytest.mark.slow
def test_the_client_s_page_runs_from_top_to_bottom(shared_stack: Stack, tmp_path: Path) -> None:
    text = (ROOT / "sdk" / "README.md").read_text("utf-8")
    program = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(program) >= 5
    golden = str(ROOT / "contracts" / "events" / "conversation.ended.json")
    printed = run("\n".join([_A_WEBHOOK.format(golden=golden), *program]), shared_stack, tmp_path)
    assert "completed agent_hangup" in printed
    assert (tmp_path / "call.ogg").exists()


SELF_HOSTING = blocks(ROOT / "docs" / "guides" / "self-hosting.md")


def test_the_guide_for_operators_has_blocks_that_run() -> None:
    assert set(SELF_HOSTING) == {"a trunk", "a public key"}


@pytest.fixture(scope="module")
def operators_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Of its own: the guide leaves an agent with a real number, which no other page's calls may find."""
    made = Stack.start(tmp_path_factory.mktemp("operators") / "data")
    yield made
    made.stop()


@pytest.mark.slow
@pytest.mark.parametrize("name", SELF_HOSTING)
def test_the_guide_for_operators_runs_as_printed(
    name: str, operators_stack: Stack, tmp_path: Path
) -> None:
    """What needs a media server is refused by `dev` in words; trunk, number and key are made all the same."""
    printed = run(SELF_HOSTING[name], operators_stack, tmp_path).strip()
    assert printed.startswith("bolti_pk_" if name == "a public key" else "trunk_")


TRANSFERS = ROOT / "docs" / "guides" / "transfers.md"


@pytest.mark.slow
def test_the_guide_about_transfers_prints_what_it_says(
    operators_stack: Stack, tmp_path: Path
) -> None:
    text = TRANSFERS.read_text("utf-8")
    printed = run(blocks(TRANSFERS)["a warm transfer"], operators_stack, tmp_path)
    (promised,) = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    assert [line.rstrip() for line in printed.splitlines()] == promised.splitlines()


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 5


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(example: Path, shared_stack: Stack, tmp_path: Path) -> None:
    assert run(example.read_text("utf-8"), shared_stack, tmp_path).strip()
