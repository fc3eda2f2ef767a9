"""What a measurement raises where it needs something that this machine does not have."""

from __future__ import annotations


class NotHere(Exception):
    """Says what is missing."""
