"""The media server of this installation, where it has one.

Rule: a process without LIVEKIT_URL does not even load the client (0.36 s and 29 MB, docs/decisions/0013).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bolti_server.base.settings import Settings
from bolti_server.rooms.media import MediaServer


@asynccontextmanager
async def open_media(settings: Settings) -> AsyncIterator[MediaServer | None]:
    """None without LIVEKIT_URL. Connects to nothing yet: whether LiveKit answers is for the doctor to say.

    Raises ValueError where key or secret is missing.
    """
    if not settings.livekit_url:
        yield None
        return
    if not (settings.livekit_api_key and settings.livekit_api_secret):
        raise ValueError("LIVEKIT_URL needs LIVEKIT_API_KEY and LIVEKIT_API_SECRET beside it.")
    from bolti_server.rooms.livekit import LiveKitMedia

    media = LiveKitMedia.open(
        settings.livekit_url,
        sip_url=settings.livekit_sip_url,
        key=settings.livekit_api_key,
        secret=settings.livekit_api_secret,
    )
    try:
        yield media
    finally:
        await media.aclose()
