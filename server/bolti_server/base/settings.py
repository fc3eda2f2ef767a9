"""Settings: `BOLTI_*` from the environment, once per process, frozen.

Rule: what `dev` needs has a default; what could hurt in production has none, and `serve` refuses to start without it
(entrypoints/serve.py). Secrets are `repr=False`: a settings object may stand in a log line or a traceback.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


LogLevel = Annotated[
    Literal["debug", "info", "warning", "error", "critical"], BeforeValidator(_lower)
]
LogFormat = Annotated[Literal["auto", "json", "console"], BeforeValidator(_lower)]


def default_data_dir() -> Path:
    """Where this machine keeps database, recordings and secrets: the user's data folder; as root /var/lib/bolti."""
    if os.geteuid() == 0:
        return Path("/var/lib/bolti")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "bolti"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "bolti"


class Settings(BaseSettings):
    """Of a server process. Raises pydantic.ValidationError on a value of the wrong shape, naming it, and
    pydantic_settings.SettingsError on a list that is no JSON.
    """

    model_config = SettingsConfigDict(
        env_prefix="BOLTI_", frozen=True, extra="ignore", populate_by_name=True
    )

    data_dir: Path = Field(default_factory=default_data_dir)
    database_url: str | None = Field(default=None, repr=False)
    object_store_url: str | None = None  # None: the folder `objects` in data_dir
    secret_key: str = Field(default="", repr=False)
    worker_token: str = Field(default="", repr=False)
    internal_url: str = "http://127.0.0.1:8000"
    public_url: str = "http://127.0.0.1:8000"
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    is_private_delivery_allowed: bool = (
        False  # may tools and webhooks reach private and local addresses?
    )
    # Without the prefix: LiveKit's own names, which its tools read too.
    livekit_url: str | None = Field(default=None, validation_alias="LIVEKIT_URL")
    livekit_api_key: str = Field(default="", repr=False, validation_alias="LIVEKIT_API_KEY")
    livekit_api_secret: str = Field(default="", repr=False, validation_alias="LIVEKIT_API_SECRET")
    livekit_sip_url: str | None = None  # where SIP requests go; None: livekit_url
    livekit_public_url: str | None = None  # where browsers join; None: livekit_url
    model_base_urls: tuple[str, ...] = ()  # OpenAI-compatible servers that agents may name
    log_level: LogLevel = "info"
    log_format: LogFormat = "auto"

    @property
    def object_store(self) -> str:
        """A URL or a folder, as `ObjectStore.open` takes it."""
        return self.object_store_url or str(self.data_dir / "objects")

    @property
    def browser_media_url(self) -> str:
        """Where a browser finds the media server, as `livekit-client` takes it. There must be one."""
        url = self.livekit_public_url or self.livekit_url
        assert url is not None, "there is a media server"
        return "ws" + url.removeprefix("http") if url.startswith("http") else url
