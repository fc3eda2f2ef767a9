"""Why a process does not start, in sentences: what an operator can mend is never told by a traceback.

Rules: a wrong setting is named by its variable and its value is not repeated, for it may be a secret (exit code 2); a
database that can't be used is said with its reason (exit code 1). What is caught is caught by name: a bug stays a traceback.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsError
from rich.console import Console

LEAST_SECRET_CHARACTERS = 32
LEAST_DIFFERENT_CHARACTERS = 10

# Standard output is for programs; people copy lines, so they stay whole.
console = Console(stderr=True, highlight=False, soft_wrap=True)

Kind = TypeVar("Kind", bound=BaseSettings)


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


def _variable(location: Sequence[int | str]) -> str:
    return "_".join(["BOLTI", *(str(part) for part in location)]).upper()
