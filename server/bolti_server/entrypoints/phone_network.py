"""`bolti-server phone-network`: callees of the simulated network in the rooms of a LiveKit server of one's own.

Rule: it answers on loopback and nowhere else unless BOLTI_PHONE_NETWORK_HOST says otherwise. SIGTERM and Ctrl-C hang
everybody up; so does the end of the process, whatever ends it.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any
from urllib.parse import urlsplit

import uvicorn
import uvloop

from bolti_server.base.logging import configure_logging, get_logger
from bolti_server.entrypoints.complaints import CannotStart, console, read_settings
from bolti_server.entrypoints.listening import QuietServer, bound
from bolti_server.phone_network.app import build_app
from bolti_server.phone_network.network import Network
from bolti_server.phone_network.phone_in_room import LiveKit
from bolti_server.phone_network.settings import PhoneNetworkSettings
from bolti_server.phone_network.tokens import Doorkeeper

STOP_SECONDS = 1  # for requests that are under way, when everybody has hung up

log = get_logger("phone_network")


def run(**options: Any) -> int:
    """Until SIGTERM or Ctrl-C. Exit code 2 for settings to be mended."""
    given = {name: value for name, value in options.items() if value is not None}
    try:
        settings = read_settings(PhoneNetworkSettings, **given)
        if complaints := complaints_about(settings):
            raise CannotStart(complaints)
        configure_logging(settings.log_level, settings.log_format)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
            loop.run(_serve(settings))
    except CannotStart as problem:
        return problem.tell("phone-network")
    return 0


def complaints_about(settings: PhoneNetworkSettings) -> list[str]:
    """What is missing or wrong, each with what to do; empty where nothing is."""
    found = []
    url = settings.livekit_url
    if not url:
        found.append(
            "LIVEKIT_URL is missing. Set it to your LiveKit server, e.g. ws://127.0.0.1:7880."
        )
    elif urlsplit(url).scheme not in ("ws", "wss", "http", "https") or not urlsplit(url).hostname:
        found.append(
            "LIVEKIT_URL is no address of a LiveKit server: it begins with ws:// or wss://."
        )
    found += [
        f"{name} is missing. Set it to the one that stands under `keys` in your LiveKit server's configuration."
        for name, value in (
            ("LIVEKIT_API_KEY", settings.livekit_api_key),
            ("LIVEKIT_API_SECRET", settings.livekit_api_secret),
        )
        if not value
    ]
    return found


async def _serve(settings: PhoneNetworkSettings) -> None:
    host, port = settings.phone_network_host, settings.phone_network_port
    livekit = LiveKit(settings.livekit_url, settings.livekit_api_key, settings.livekit_api_secret)
    network = Network(livekit, settings.phone_network_voice)
    doorkeeper = Doorkeeper(settings.livekit_api_key, settings.livekit_api_secret)
    with bound(host, port, exit_code=1) as listener:
        port = listener.getsockname()[1]
        server = QuietServer(
            uvicorn.Config(
                build_app(network, doorkeeper),
                http="httptools",
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=STOP_SECONDS,
            )
        )
        stopping = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        up = asyncio.create_task(server.is_up.wait())
        await asyncio.wait({serving, up}, return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        log.info("phone_network_up", host=host, port=port, livekit_url=settings.livekit_url)
        console.print(f"BOLTI_LIVEKIT_SIP_URL=http://{host}:{port}", markup=False)
        waiting = asyncio.create_task(stopping.wait())
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        await network.stop()  # who waits for an answer gets it
        server.should_exit = True
        await serving


if __name__ == "__main__":
    sys.exit(run())
