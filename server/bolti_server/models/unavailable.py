"""Why a call can't have the model that its agent names."""

from __future__ import annotations


class ModelUnavailable(Exception):
    """Its text says in plain words what is missing and what to do: it is shown as the hangup's detail."""
