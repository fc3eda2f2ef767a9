"""Ids as LiveKit makes them: a prefix, an underscore, twelve letters or digits that nobody confuses when reading aloud."""

from __future__ import annotations

import secrets

_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def new_id(prefix: str) -> str:
    return f"{prefix}_" + "".join(secrets.choice(_LETTERS) for _ in range(12))
