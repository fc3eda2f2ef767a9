"""`Request-Id`: every request has a name, in its answer and in our logs. A caller's own is kept where it is harmless."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from bolti_server.base.ids import new_id

KEY = "bolti_request_id"
_HARMLESS = re.compile(rb"[A-Za-z0-9_-]{1,64}")


def choose_request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The caller's, or a new one."""
    for name, value in headers:
        if name == b"request-id" and _HARMLESS.fullmatch(value):
            return value.decode()
    return new_id("req")


def request_id_of(scope: Mapping[str, Any]) -> str:
    found: str = scope[KEY]
    return found
