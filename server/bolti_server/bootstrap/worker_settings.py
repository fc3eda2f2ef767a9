"""What an agent worker is told from outside: its settings, and when to stop."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from bolti_server.base.settings import LogFormat, LogLevel, default_data_dir


class WorkerSettings(BaseSettings):
    """`BOLTI_*` from the environment. `worker_parent_pid`: when it is gone, the worker finishes its calls and goes."""

    model_config = SettingsConfigDict(
        env_prefix="BOLTI_", frozen=True, extra="ignore", populate_by_name=True
    )

    internal_url: str = "http://127.0.0.1:8000"
    worker_token: str = Field(repr=False)
    data_dir: Path = Field(default_factory=default_data_dir)
    worker_capacity: int = Field(default=10, ge=1, le=200)
    worker_text_capacity: int = Field(default=200, ge=0, le=1000)  # besides: text lines cost little
    worker_drain_seconds: float = Field(default=600.0, ge=0)  # at SIGTERM
    worker_parent_pid: int | None = None
    # Real lines (rooms): without LIVEKIT_URL only simulated ones are carried. The names without a prefix are LiveKit's own.
    livekit_url: str | None = Field(default=None, validation_alias="LIVEKIT_URL")
    livekit_api_key: str = Field(default="", repr=False, validation_alias="LIVEKIT_API_KEY")
    livekit_api_secret: str = Field(default="", repr=False, validation_alias="LIVEKIT_API_SECRET")
    livekit_sip_url: str | None = None  # where SIP requests go; None: livekit_url
    worker_warm: int = Field(
        default=2, ge=0, le=50
    )  # processes that wait for the next call in a room
    worker_memory_limit_mb: int = Field(default=1000, ge=0)  # of one call in a room; 0: none
    worker_health_port: int = Field(default=0, ge=0, le=65535)  # 0: a free one, which the log names
    worker_metrics_port: int | None = Field(default=None, ge=0, le=65535)  # Prometheus; None: none
    log_level: LogLevel = "info"
    log_format: LogFormat = "auto"

    @property
    def spool_root(self) -> Path:
        return self.data_dir / "worker" / "spool"


class Stopping:
    """How a worker is told to stop: no new calls, and the grace in which live ones may finish by themselves."""

    def __init__(self) -> None:
        self._told = asyncio.Event()
        self._ends_at = float("inf")  # of the grace, monotonic

    def stop(self, grace_seconds: float) -> None:
        """May be repeated with a shorter grace, which then counts."""
        self._ends_at = min(self._ends_at, time.monotonic() + grace_seconds)
        self._told.set()

    async def wait(self) -> None:
        """Returns when it is told to stop."""
        await self._told.wait()

    async def wait_for_end_of_grace(self) -> None:
        """Returns when no more patience is due."""
        while (left := self._ends_at - time.monotonic()) > 0:
            self._told.clear()
            try:
                async with asyncio.timeout(left):
                    await self._told.wait()
            except TimeoutError:
                continue
