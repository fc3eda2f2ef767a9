"""Imports inside functions that are wanted: (file, module or its package) and the reason. Anything else
belongs to the top."""

from __future__ import annotations

ALLOWED: dict[tuple[str, str], str] = {}
