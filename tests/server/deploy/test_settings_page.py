"""docs/guides/self-hosting.md names every setting, and none that there is not."""

from __future__ import annotations

import re
from pathlib import Path

from bolti_server.base.settings import Settings
from bolti_server.bootstrap.worker_settings import WorkerSettings

GUIDES = Path(__file__).resolve().parents[3] / "docs" / "guides"
TABLE = re.compile(r"^\| (`(?:BOLTI|LIVEKIT)_[^|]*) \|", re.MULTILINE)
# For the processes that `dev` starts, not for operators.
INSIDE = {"BOLTI_WORKER_PARENT_PID"}


def settings() -> set[str]:
    found = set()
    for kind in (Settings, WorkerSettings):
        for name, field in kind.model_fields.items():
            alias = field.validation_alias
            found.add(alias if isinstance(alias, str) else f"BOLTI_{name.upper()}")
    return found - INSIDE


def test_the_table_has_every_setting_and_no_other() -> None:
    text = (GUIDES / "self-hosting.md").read_text("utf-8")
    named = {name for row in TABLE.findall(text) for name in re.findall(r"[A-Z]+_[A-Z_]+", row)}
    assert named == settings()


def test_the_other_pages_name_no_setting_that_there_is_not() -> None:
    known = settings() | {"BOLTI_PHONE_NETWORK_PORT", "BOLTI_VERSION"}
    for page in (GUIDES / "networking.md", GUIDES.parents[1] / "deploy" / "README.md"):
        named = set(re.findall(r"\bBOLTI_[A-Z_]*[A-Z]\b", page.read_text("utf-8")))
        assert named <= known, page.name
