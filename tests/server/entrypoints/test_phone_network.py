"""`bolti-server phone-network` says what it lacks, all at once, before it listens anywhere."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from bolti_server.entrypoints import phone_network
from bolti_server.entrypoints.listening import bound
from bolti_server.phone_network.settings import PhoneNetworkSettings

NAMES = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
SECRET = "a-secret-that-nobody-may-read-in-a-log"


@pytest.fixture(autouse=True)
def without_livekit(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    yield
    # `run` configures the logs of its process, which is this one: they would go to a stream that is closed by then.
    structlog.reset_defaults()
    root = logging.getLogger()
    for handler in [each for each in root.handlers if type(each) is logging.StreamHandler]:
        root.removeHandler(handler)


def complaints(**settings: str) -> list[str]:
    return phone_network.complaints_about(PhoneNetworkSettings(**settings))  # type: ignore[arg-type]


def test_all_that_is_missing_is_told_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    assert phone_network.run() == 2
    told = capfd.readouterr().err
    assert "does not start" in told
    for name in NAMES:
        assert f"{name} is missing" in told


@pytest.mark.parametrize("url", ["localhost:7880", "ftp://livekit.example", "ws://"])
def test_an_address_that_is_none_is_told(url: str) -> None:
    [complaint] = complaints(livekit_url=url, livekit_api_key="k", livekit_api_secret=SECRET)
    assert complaint.startswith("LIVEKIT_URL is no address")


def test_it_starts_on_loopback_with_what_livekit_s_own_tools_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in zip(NAMES, ("wss://livekit.example", "k", SECRET), strict=True):
        monkeypatch.setenv(name, value)
    settings = PhoneNetworkSettings()
    assert complaints() == []
    assert (settings.phone_network_host, settings.phone_network_port) == ("127.0.0.1", 7990)
    assert SECRET not in repr(settings)


def test_a_port_that_is_taken_is_told(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in zip(NAMES, ("ws://127.0.0.1:1", "k", SECRET), strict=True):
        monkeypatch.setenv(name, value)
    with bound("127.0.0.1", 0) as listener:
        listener.listen()
        port = listener.getsockname()[1]
        assert phone_network.run(phone_network_port=port) == 1
    assert f"Can't listen on 127.0.0.1:{port}" in capfd.readouterr().err
