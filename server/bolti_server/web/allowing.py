"""The value of the `Allow` header."""

from __future__ import annotations


def allow_value(methods: str) -> str:
    """`methods` (comma-separated, as the router knows them) sorted, with what the edge adds: HEAD and OPTIONS."""
    found = {each.strip() for each in methods.split(",")} - {""} | {"OPTIONS"}
    return ", ".join(sorted(found | {"HEAD"} if "GET" in found else found))
