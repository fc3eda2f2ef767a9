"""Why a process does not start, in sentences: what an operator can mend is never told by a traceback.

Rules: a wrong setting is named by its variable and its value is not repeated, for it may be a secret (exit code 2); a
database that can't be used is said with its reason (exit code 1). What is caught is caught by name: a bug stays a traceback.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsError
from rich.console import Console

LEAST_SECRET_CHARACTERS = 32
LEAST_DIFFERENT_CHARACTERS = 10
_LIVEKITS_OWN = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")  # no BOLTI_ before them

# Standard output is for programs; people copy lines, so they stay whole.
console = Console(stderr=True, highlight=False, soft_wrap=True)

Kind = TypeVar("Kind", bound=BaseSettings)


class _OfLiveKit(Protocol):
    """The settings of the media server, which a server and a worker have."""

    @property
    def livekit_url(self) -> str | None: ...
    @property
    def livekit_api_key(self) -> str: ...
    @property
    def livekit_api_secret(self) -> str: ...
    @property
    def livekit_sip_url(self) -> str | None: ...


class CannotStart(Exception):
    """Carries sentences for the operator and the exit code of the process."""

    def __init__(self, complaints: Sequence[str], exit_code: int = 2) -> None:
        super().__init__("\n".join(complaints))
        self.complaints = list(complaints)
        self.exit_code = exit_code

    def tell(self, command: str) -> int:
        """Prints the sentences; returns the exit code."""
        console.print(f"[red]bolti-server {command} does not start:[/red]")
        for complaint in self.complaints:
            console.print(f"  {complaint}", markup=False)
        return self.exit_code


def read_settings(kind: type[Kind], **given: Any) -> Kind:
    """Of the environment, with `given` in front of it. Raises CannotStart that names each wrong variable."""
    try:
        return kind(**given)
    except ValidationError as error:
        raise CannotStart(
            [f"{_variable(each['loc'])}: {each['msg']}." for each in error.errors()]
        ) from None
    except SettingsError as error:  # a list or an object that is no JSON
        found = re.search(r'field "(\w+)"', str(error))
        name = _variable([found[1]]) if found else "One of the BOLTI_ variables"
        raise CannotStart(
            [f'{name} is no JSON. A list is written as ["https://…", "https://…"].']
        ) from None


def complaints_about_database_url(url: str | None) -> list[str]:
    """What is wrong with BOLTI_DATABASE_URL; empty where it is an address of PostgreSQL."""
    if not url:
        return [
            "BOLTI_DATABASE_URL is missing. Set it to postgresql://user:password@host/database "
            "and run `bolti-server migrate` once."
        ]
    wrong = ["BOLTI_DATABASE_URL is not a postgresql:// address."]
    try:
        parts = urlsplit(url)
        _ = parts.port  # reading it checks it
    except ValueError:
        return wrong
    return [] if parts.scheme in ("postgresql", "postgres") else wrong


def complaints_about_secret(name: str, value: str) -> list[str]:
    """What is wrong with a secret; empty where nobody guesses it."""
    make = "Make one: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
    if not value:
        return [f"{name} is missing. {make}"]
    if len(value) < LEAST_SECRET_CHARACTERS or len(set(value)) < LEAST_DIFFERENT_CHARACTERS:
        return [
            f"{name} can be guessed: it needs {LEAST_SECRET_CHARACTERS} random characters. {make}"
        ]
    return []


def complaints_about_livekit(settings: _OfLiveKit) -> list[str]:
    """What is wrong with the settings of the media server; empty where they fit, or where there are none at all."""
    beside = {
        "LIVEKIT_API_KEY": settings.livekit_api_key,
        "LIVEKIT_API_SECRET": settings.livekit_api_secret,
        "BOLTI_LIVEKIT_SIP_URL": settings.livekit_sip_url,
    }
    if not settings.livekit_url:
        given = [name for name, value in beside.items() if value]
        if not given:
            return []
        are = "is" if len(given) == 1 else "are"
        return [
            f"{' and '.join(given)} {are} set, and LIVEKIT_URL is not. Set it to the LiveKit server's address, e.g. "
            "wss://livekit.example.com, or remove what is set."
        ]
    found = [
        f"{name} is missing. It is the one that LIVEKIT_URL's server has under `keys`."
        for name in ("LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
        if not beside[name]
    ]
    secret = settings.livekit_api_secret
    if secret and len(secret) < LEAST_SECRET_CHARACTERS:
        found.append(
            f"LIVEKIT_API_SECRET can be guessed: it needs {LEAST_SECRET_CHARACTERS} random characters, "
            "in LiveKit's own configuration too."
        )
    found += complaints_about_media_url("LIVEKIT_URL", settings.livekit_url)
    found += complaints_about_media_url("BOLTI_LIVEKIT_SIP_URL", settings.livekit_sip_url)
    return found


def complaints_about_media_url(name: str, url: str | None) -> list[str]:
    """What is wrong with an address of LiveKit; None is none and has nothing wrong."""
    wrong = [f"{name} is no address of a LiveKit server. Expected e.g. wss://livekit.example.com."]
    if url is None:
        return []
    try:
        parts = urlsplit(url)
        _ = parts.port  # reading it checks it
    except ValueError:
        return wrong
    return [] if parts.scheme in ("ws", "wss", "http", "https") and parts.hostname else wrong


def _variable(location: Sequence[int | str]) -> str:
    name = "_".join(str(part) for part in location).upper()
    return name if name.startswith("LIVEKIT_") and name in _LIVEKITS_OWN else f"BOLTI_{name}"
