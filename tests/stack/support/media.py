"""Redis and a real livekit-server, on addresses of this namespace."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Sequence
from pathlib import Path

import attrs
import httpx2
import yaml
from livekit import api
from tests.stack.support.processes import Child, wait_until_up

MEDIA_ADDRESS = "10.9.9.1"  # of the interface v0 that tools/stack.py makes
MEDIA_UDP_PORT = 7882
SIP_PORT = 5060
SIP_HEALTH_PORT = 7889
LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """Nobody else is in this namespace: it stays free."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0


@attrs.define
class Redis:
    child: Child
    port: int

    @classmethod
    def on(cls, folder: Path) -> Redis:
        port = free_port()
        command = ["redis-server", "--bind", LOOPBACK, "--port", str(port), "--save", ""]
        command += ["--dir", str(folder)]
        return cls(Child("redis", command, dict(os.environ), folder / "redis.log"), port)

    def start(self) -> None:
        self.child.start()
        wait_until_up(self.child, lambda: is_listening(self.port))


@attrs.define
class LiveKit:
    """`rooms` and `api` ask it directly, beside whatever Bolti believes."""

    child: Child
    port: int
    key: str
    secret: str

    @classmethod
    def on(cls, folder: Path, redis: Redis, callbacks: Sequence[str]) -> LiveKit:
        """`callbacks`: the addresses that it tells what happens in its rooms."""
        port, key, secret = free_port(), f"key{secrets.token_hex(4)}", secrets.token_hex(24)
        configuration = {
            "port": port,
            "bind_addresses": [LOOPBACK],
            "redis": {"address": f"{LOOPBACK}:{redis.port}"},
            "rtc": {
                "tcp_port": 0,
                "udp_port": MEDIA_UDP_PORT,
                "node_ip": MEDIA_ADDRESS,
                "use_external_ip": False,
                "interfaces": {"includes": ["v0"]},
            },
            "keys": {key: secret},
            # Without auto_create the SIP service joins a room that does not exist, and the caller hears busy.
            "room": {"auto_create": True, "empty_timeout": 60, "departure_timeout": 5},
            "webhook": {"api_key": key, "urls": list(callbacks)},
            "logging": {"level": "info"},
        }
        file = folder / "livekit.yaml"
        file.write_text(yaml.safe_dump(configuration), "utf-8")
        command = ["livekit-server", "--config", str(file)]
        child = Child("livekit-server", command, dict(os.environ), folder / "livekit-server.log")
        return cls(child, port, key, secret)

    @property
    def url(self) -> str:
        return f"ws://{LOOPBACK}:{self.port}"

    @property
    def settings(self) -> dict[str, str]:
        """As Bolti's processes read it."""
        return {
            "LIVEKIT_URL": self.url,
            "LIVEKIT_API_KEY": self.key,
            "LIVEKIT_API_SECRET": self.secret,
        }

    def start(self) -> None:
        self.child.start()
        wait_until_up(self.child, self._answers)

    def api(self) -> api.LiveKitAPI:
        """To be closed by whoever asks for it."""
        return api.LiveKitAPI(self.url.replace("ws", "http", 1), self.key, self.secret)

    async def rooms(self) -> list[str]:
        async with self.api() as asked:
            answer = await asked.room.list_rooms(api.ListRoomsRequest())
        return sorted(room.name for room in answer.rooms)

    def _answers(self) -> bool:
        try:
            return httpx2.get(f"http://{LOOPBACK}:{self.port}/", timeout=2).status_code == 200
        except httpx2.TransportError:
            return False


def livekit_sip(folder: Path, program: str, redis: Redis, livekit: LiveKit) -> Child:
    """A real SIP service, on the address of the namespace. Not started yet; it answers on its health port."""
    configuration = {
        "api_key": livekit.key,
        "api_secret": livekit.secret,
        "ws_url": livekit.url,
        "redis": {"address": f"{LOOPBACK}:{redis.port}"},
        "sip_port": SIP_PORT,
        "listen_ip": MEDIA_ADDRESS,
        "local_net": "10.9.9.0/24",
        "nat_1_to_1_ip": MEDIA_ADDRESS,
        "rtp_port": "20000-20100",
        "use_external_ip": False,
        "health_port": SIP_HEALTH_PORT,
        "max_cpu_utilization": 1.0,  # everything else runs on the same two cores
        "logging": {"level": "info"},
    }
    file = folder / "livekit-sip.yaml"
    file.write_text(yaml.safe_dump(configuration), "utf-8")
    return Child(
        "livekit-sip",
        [program, "--config", str(file)],
        dict(os.environ),
        folder / "livekit-sip.log",
    )
