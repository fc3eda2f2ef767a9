"""deploy/livekit.yaml and deploy/sip.yaml, read by the programs that they are for."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.stack.support.media import LOOPBACK, MEDIA_ADDRESS, free_port, is_listening
from tests.stack.support.processes import Child, wait_until_up
from tests.stack.support.stack import Stack

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
SPARE_UDP_PORT = 7993


def test_livekit_server_knows_every_name_in_its_file(tmp_path: Path) -> None:
    """It refuses unknown names, in words: its exit code is 0 all the same. No STUN server can be asked here."""
    text = (DEPLOY / "livekit.yaml").read_text("utf-8")
    assert "use_external_ip: true" in text
    text = text.replace("use_external_ip: true", "use_external_ip: false")
    assert "7880 - HTTP service" in _ports(text, tmp_path)
    assert "field colour not found" in _ports(f"{text}colour: red\n", tmp_path)


def test_livekit_server_starts_with_its_file(stack: Stack, tmp_path: Path) -> None:
    """But for what is another here: the ports of this machine, its address (no STUN server can tell it), Redis."""
    port = free_port()
    configuration: dict[str, Any] = yaml.safe_load((DEPLOY / "livekit.yaml").read_text("utf-8"))
    configuration["port"] = port
    configuration["bind_addresses"] = [LOOPBACK]
    configuration["redis"]["address"] = f"{LOOPBACK}:{stack.redis.port}"
    configuration["rtc"] |= {
        "use_external_ip": False,
        "node_ip": MEDIA_ADDRESS,
        "interfaces": {"includes": ["v0"]},
        "udp_port": SPARE_UDP_PORT,
        "tcp_port": 0,
    }
    file = tmp_path / "livekit.yaml"
    file.write_text(yaml.safe_dump(configuration), "utf-8")
    environment = {**os.environ, "LIVEKIT_KEYS": f"bolti: {'s' * 40}"}  # as compose.yaml gives them
    command = ["livekit-server", "--config", str(file)]
    child = Child("deployed-livekit", command, environment, stack.folder / "deployed-livekit.log")
    child.start()
    try:
        wait_until_up(child, lambda: is_listening(port))
    finally:
        child.stop()


def test_livekit_sip_starts_with_its_file(stack: Stack, tmp_path: Path) -> None:
    program = os.environ.get("BOLTI_STACK_LIVEKIT_SIP")
    if not program:
        pytest.skip("NO livekit-sip ON PATH: deploy/sip.yaml WAS NOT TRIED")
    port = free_port()
    configuration: dict[str, Any] = yaml.safe_load((DEPLOY / "sip.yaml").read_text("utf-8"))
    configuration["redis"]["address"] = f"{LOOPBACK}:{stack.redis.port}"
    configuration |= {"use_external_ip": False, "nat_1_to_1_ip": MEDIA_ADDRESS}
    configuration |= {"listen_ip": MEDIA_ADDRESS, "health_port": port, "sip_port": free_port()}
    file = tmp_path / "sip.yaml"
    file.write_text(yaml.safe_dump(configuration), "utf-8")
    environment = {
        **os.environ,
        "LIVEKIT_API_KEY": stack.livekit.key,
        "LIVEKIT_API_SECRET": stack.livekit.secret,
        "LIVEKIT_WS_URL": stack.livekit.url,
    }
    child = Child(
        "deployed-sip",
        [program, "--config", str(file)],
        environment,
        stack.folder / "deployed-sip.log",
    )
    child.start()
    try:
        wait_until_up(child, lambda: is_listening(port))
    finally:
        child.stop()


def _ports(text: str, folder: Path) -> str:
    """What livekit-server tells of the ports that it would open with this configuration."""
    file = folder / "livekit.yaml"
    file.write_text(text, "utf-8")
    done = subprocess.run(
        ["livekit-server", "--config", str(file), "ports"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.stdout + done.stderr
