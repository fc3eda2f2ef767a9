"""The profile: where `bolti-server dev` leaves URL and key, so that `Bolti()` on the same machine needs no settings.

Rules: one small JSON file in the user's own configuration folder (`BOLTI_PROFILE` names another), readable by that user
only, written whole or not at all.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from bolti._errors import ConfigurationError


@dataclass(frozen=True)
class Profile:
    """What a profile says; the key stays out of `repr`."""

    path: Path
    base_url: str
    api_key: str = field(repr=False)
    workspace_id: str


def profile_path() -> Path:
    """`BOLTI_PROFILE`, else profile.json in the user's configuration folder for Bolti."""
    named = os.environ.get("BOLTI_PROFILE")
    return Path(named).expanduser() if named else _configuration_folder() / "bolti" / "profile.json"


def write_profile(base_url: str, api_key: str, workspace_id: str) -> Path:
    """Writes the profile (0600, in one step) and tells where it is. Raises OSError where that can't be written."""
    path = profile_path()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    content = {"base_url": base_url, "api_key": api_key, "workspace_id": workspace_id}
    # mkstemp makes the file 0600; it lies beside its target, so the replacement is one step of one file system.
    handle, temporary = tempfile.mkstemp(prefix=".profile-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def read_profile() -> Profile | None:
    """The profile, or None where there is none. Raises ConfigurationError where the file makes no sense."""
    path = profile_path()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The profile {path} can't be read: {error}") from error
    members = _members(text)
    values = [members.get(name) for name in ("base_url", "api_key", "workspace_id")]
    texts = [value for value in values if isinstance(value, str) and value]
    if len(texts) != len(values):
        raise ConfigurationError(
            f"The profile {path} is damaged. Delete it and start `bolti-server dev` again, "
            "or set BOLTI_API_KEY and BOLTI_BASE_URL."
        )
    return Profile(path=path, base_url=texts[0], api_key=texts[1], workspace_id=texts[2])


def _members(text: str) -> dict[str, object]:
    try:
        found: object = json.loads(text)
    except ValueError:
        return {}
    return cast("dict[str, object]", found) if isinstance(found, dict) else {}


def _configuration_folder() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
