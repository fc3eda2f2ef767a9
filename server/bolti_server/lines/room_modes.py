"""How a call in a room is connected, and by which name its other side is known."""

from __future__ import annotations

from typing import Literal

from bolti_server.rooms.media import BROWSER_IDENTITY, CALLEE_IDENTITY
from bolti_server.worker_api.messages import CallSpec

Mode = Literal["outbound", "inbound", "browser", "takeover"]


def mode_of(spec: CallSpec) -> Mode:
    """How the call is connected."""
    if spec.takeover is not None:
        return "takeover"
    if spec.line.kind == "browser":
        return "browser"
    return "inbound" if spec.direction == "inbound" else "outbound"


def identity_of(spec: CallSpec, *, is_browser: bool) -> str | None:
    """Of the other side; None: the SIP service names a caller, so that he is known by his kind alone."""
    if is_browser:
        return BROWSER_IDENTITY
    return None if spec.direction == "inbound" else CALLEE_IDENTITY
