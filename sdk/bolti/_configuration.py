"""Which server, with which key: arguments, then environment, then the profile that `bolti-server dev` writes.

Rule: the profile's key goes to the profile's server only. A base URL given beside it never receives that key unless it is
the same.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from bolti._errors import ConfigurationError
from bolti._profile import Profile, profile_path, read_profile


@dataclass(frozen=True)
class Configuration:
    """What a client works with. `base_url` has no slash at its end; the key stays out of `repr`."""

    base_url: str
    api_key: str = field(repr=False)
    workspace_id: str
    key_source: str

    @property
    def is_loopback(self) -> bool:
        """Whether the server is this machine; requests to it never go through a proxy."""
        host = urlsplit(self.base_url).hostname or ""
        if host == "localhost" or host.endswith(".localhost"):
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False


def configure(
    *, api_key: str | None, base_url: str | None, workspace_id: str | None
) -> Configuration:
    """Raises ConfigurationError that says what to set."""
    key, source = _first(api_key, "api_key=", "BOLTI_API_KEY")
    url, _ = _first(base_url, "base_url=", "BOLTI_BASE_URL")
    workspace, _ = _first(workspace_id, "workspace_id=", "BOLTI_WORKSPACE_ID")
    profile = read_profile() if key is None or url is None else None
    if key is None and profile is not None and _is_for(profile, url):
        key, source = profile.api_key, f"the profile {profile.path}"
        workspace = workspace or profile.workspace_id
    if url is None and profile is not None:
        url = profile.base_url
    if key is None or url is None:
        raise ConfigurationError(_what_to_set(key, url, profile))
    return Configuration(
        base_url=_checked_url(url),
        api_key=_checked_key(key, source),
        workspace_id=workspace or "current",
        key_source=source,
    )


def path_segment(value: str, name: str) -> str:
    """An id as one segment of a path: quoted, so that no id can reach another path. Raises ValueError on none at all."""
    if not value or not value.strip("."):  # "." and ".." would be taken as steps in the path
        raise ValueError(f"{name} must be an id, not {value!r}")
    return quote(value, safe="")


def _first(argument: str | None, label: str, variable: str) -> tuple[str | None, str]:
    if argument is not None:
        return argument, label.rstrip("=")
    return os.environ.get(variable) or None, variable


def _is_for(profile: Profile, url: str | None) -> bool:
    return url is None or url.rstrip("/") == profile.base_url.rstrip("/")


def _what_to_set(key: str | None, url: str | None, profile: Profile | None) -> str:
    missing = [
        name for name, value in (("BOLTI_API_KEY", key), ("BOLTI_BASE_URL", url)) if value is None
    ]
    text = f"Set {' and '.join(missing)} (or pass api_key=, base_url=)"
    if profile is not None:
        return f"{text}: the key in {profile.path} is for {profile.base_url} and goes nowhere else."
    return f"{text}, or start `bolti-server dev`, which writes a profile to {profile_path()}."


def _checked_key(key: str, source: str) -> str:
    key = key.strip()  # a newline from `$(cat file)` or a copy
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigurationError(
            f"The API key from {source} is empty or holds characters that no key has. "
            "It looks like bolti_sk_… with 36 letters and digits."
        )
    return key


def _checked_url(url: str) -> str:
    example = "It looks like http://127.0.0.1:8000"
    try:
        parts = urlsplit(url.strip())
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ConfigurationError(f"The base URL is malformed. {example}") from None
    if (
        not is_good or parts.query or parts.fragment or "@" in parts.netloc
    ):  # not echoed: it may hold a password
        raise ConfigurationError(
            f"The base URL needs http or https and a host, and no user, query or fragment. {example}"
        )
    return url.strip().rstrip("/")
