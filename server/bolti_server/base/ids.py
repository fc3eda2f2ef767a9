"""TypeIDs: prefix, `_`, 26 characters of base32 UUIDv7 (https://github.com/jetify-com/typeid, spec 0.3).

Rule: ids are made by us, before any I/O; they sort by creation time; knowing one authorises nothing.
"""

from __future__ import annotations

import os
import re
import time

PREFIXES = frozenset(
    {
        *("org", "ws", "key", "agent", "av", "tool", "num", "apn", "trunk", "conv", "sched", "txn"),
        *("acct", "hold", "evt", "whep", "whdel", "worker", "cmd", "req", "dnc"),
    }
)
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PATTERN = re.compile(r"^[a-z]+_[0-7][0-9abcdefghjkmnpqrstvwxyz]{25}$")


def new_id(prefix: str) -> str:
    """A fresh id such as `conv_01h455vb4pex5vsknk084sn02q`."""
    assert prefix in PREFIXES, prefix
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = (
        (milliseconds & (1 << 48) - 1) << 80
        | 0x7 << 76
        | (random >> 68 & 0xFFF) << 64
        | 0b10 << 62
        | random & (1 << 62) - 1
    )
    return f"{prefix}_{_base32(value)}"


def is_id(text: str, prefix: str) -> bool:
    """Whether `text` has the shape of an id with this prefix (says nothing about its existence)."""
    return text.startswith(prefix + "_") and _PATTERN.match(text) is not None


def _base32(value: int) -> str:
    return "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5))
