"""Imports inside functions that are wanted: (file, module or its package) and the reason. Anything else
belongs to the top."""

from __future__ import annotations

ALLOWED: dict[tuple[str, str], str] = {
    (
        "server/bolti_server/bootstrap/media.py",
        "bolti_server.rooms.livekit",
    ): "livekit.api is 0.36 s of start-up; loaded only where LIVEKIT_URL is set",
}
