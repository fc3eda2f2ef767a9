"""Settings of `bolti-server phone-network`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from bolti_server.base.settings import LogFormat, LogLevel

PORT = 7990


class PhoneNetworkSettings(BaseSettings):
    """LiveKit's own names for the media server, as its other programs read them; ours begin with BOLTI_."""

    model_config = SettingsConfigDict(
        env_prefix="BOLTI_", frozen=True, extra="ignore", populate_by_name=True
    )

    livekit_url: str = Field(default="", validation_alias="LIVEKIT_URL")
    livekit_api_key: str = Field(default="", repr=False, validation_alias="LIVEKIT_API_KEY")
    livekit_api_secret: str = Field(default="", repr=False, validation_alias="LIVEKIT_API_SECRET")
    phone_network_host: str = "127.0.0.1"
    phone_network_port: int = Field(default=PORT, ge=0, le=65535)
    phone_network_voice: Literal["modem", "speech"] = (
        "modem"  # of callees that nobody chose one for
    )
    log_level: LogLevel = "info"
    log_format: LogFormat = "auto"
