"""A process that can't start says why in sentences: the variable by its name, no value, no traceback."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from bolti_server.base.settings import Settings
from bolti_server.entrypoints import create_workspace, dev, migrate, serve, worker

NOBODY_LISTENS = "postgresql://bolti@127.0.0.1:9/bolti"
SERVE = {
    "BOLTI_DATABASE_URL": NOBODY_LISTENS,
    "BOLTI_SECRET_KEY": "b7Qf0sZk2LhXw9RtYp4Nc6Vm8Jd1Ga3Ue5",
    "BOLTI_WORKER_TOKEN": "q1W2e3R4t5Y6u7I8o9P0a1S2d3F4g5H6j7",
    "BOLTI_PUBLIC_URL": "http://localhost:8000",
    "BOLTI_PORT": "0",
}


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith(("BOLTI_", "LIVEKIT_"))]:
        monkeypatch.delenv(name)
    for name, value in SERVE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("BOLTI_DATA_DIR", str(tmp_path / "data"))
    yield
    # `serve` configures the logs of its process, which is this one: they would go to a stream that is closed by then.
    structlog.reset_defaults()
    root = logging.getLogger()
    for handler in [each for each in root.handlers if type(each) is logging.StreamHandler]:
        root.removeHandler(handler)


def start_dev(folder: Path | None = None) -> int:
    folder = folder or Path(os.environ["BOLTI_DATA_DIR"])
    return dev.run(data_dir=folder, port=0, worker_capacity=1, no_profile=True)


COMMANDS: dict[str, Callable[[], int]] = {
    "serve": serve.run,
    "worker": worker.run,
    "dev": start_dev,
    "migrate": lambda: migrate.run(database_url=os.environ["BOLTI_DATABASE_URL"]),
    "create-workspace": lambda: create_workspace.run(name="Acme"),
}
WITH_DATABASE = sorted(COMMANDS.keys() - {"worker"})


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("variable", ["BOLTI_LOG_LEVEL", "BOLTI_LOG_FORMAT"])
def test_a_log_setting_outside_its_set_is_named(
    command: str, variable: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, "loud")
    assert COMMANDS[command]() == 2
    told = capsys.readouterr().err
    assert f"bolti-server {command} does not start" in told
    assert f"{variable}: Input should be" in told


def test_a_log_level_may_be_written_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOLTI_LOG_LEVEL", "WARNING")
    assert Settings().log_level == "warning"


@pytest.mark.parametrize("command", WITH_DATABASE)
@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("BOLTI_MODEL_BASE_URLS", "http://models.example", "BOLTI_MODEL_BASE_URLS is no JSON"),
        ("BOLTI_PORT", "abc", "BOLTI_PORT: Input should be a valid integer"),
        ("BOLTI_DATABASE_URL", "nonsense", "BOLTI_DATABASE_URL is not a postgresql:// address"),
        ("BOLTI_DATABASE_URL", "postgresql://h:abc/x", "BOLTI_DATABASE_URL is not a postgresql://"),
    ],
)
def test_a_setting_of_the_wrong_shape_is_named(
    command: str,
    variable: str,
    value: str,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, value)
    assert COMMANDS[command]() == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("command", WITH_DATABASE)
def test_a_database_that_does_not_answer_is_said(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert COMMANDS[command]() == 1
    assert "The database (BOLTI_DATABASE_URL) can't be used" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["serve", "create-workspace"])
@pytest.mark.parametrize("url", ["nonsense://x", "s3://", "/proc/none/here"])
def test_an_object_store_that_can_t_be_opened_is_said(
    command: str, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BOLTI_OBJECT_STORE_URL", url)
    assert COMMANDS[command]() == 2
    assert "BOLTI_OBJECT_STORE_URL" in capsys.readouterr().err


@pytest.mark.parametrize("folder", ["/proc/none/here", "/dev/null"])
def test_a_data_folder_that_can_t_be_made_is_named(
    folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start_dev(Path(folder)) == 2
    told = capsys.readouterr().err
    assert folder in told
    assert "--data-dir" in told


def test_a_workspace_is_not_made_with_a_key_that_serve_refuses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BOLTI_SECRET_KEY", "hunter2")
    assert create_workspace.run(name="Acme") == 2
    told = capsys.readouterr().err
    assert "BOLTI_SECRET_KEY can be guessed" in told
    assert "hunter2" not in told


MEDIA = {
    "LIVEKIT_URL": "wss://livekit.example.com",
    "LIVEKIT_API_KEY": "bolti",
    "LIVEKIT_API_SECRET": "h8Jk2Lm5Nq7Rt9Vx1Zb3Df6Gj0Kn4Ps8Wy",
    "BOLTI_LIVEKIT_PUBLIC_URL": "wss://livekit.example.com",
}


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"LIVEKIT_API_KEY": ""}, "LIVEKIT_API_KEY is missing"),
        ({"LIVEKIT_API_SECRET": ""}, "LIVEKIT_API_SECRET is missing"),
        ({"LIVEKIT_API_SECRET": "secret"}, "LIVEKIT_API_SECRET can be guessed"),
        ({"LIVEKIT_URL": "livekit.example.com"}, "LIVEKIT_URL is no address"),
        ({"LIVEKIT_URL": "wss://livekit:port"}, "LIVEKIT_URL is no address"),
        ({"LIVEKIT_URL": ""}, "LIVEKIT_URL is not"),
        ({"BOLTI_LIVEKIT_SIP_URL": "sip:livekit"}, "BOLTI_LIVEKIT_SIP_URL is no address"),
        ({"BOLTI_LIVEKIT_PUBLIC_URL": "ws://livekit.example.com"}, "Put TLS in front of LiveKit"),
    ],
)
def test_serve_says_what_is_wrong_with_the_media_servers_settings(
    changed: dict[str, str],
    word: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in {**MEDIA, **changed}.items():
        monkeypatch.setenv(name, value)
    assert serve.run() == 2
    told = capsys.readouterr().err
    assert word in told
    assert MEDIA["LIVEKIT_API_SECRET"] not in told


def test_settings_of_a_media_server_that_fit_are_no_hindrance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in MEDIA.items():
        monkeypatch.setenv(name, value)
    assert serve.complaints_about(Settings()) == []


def test_a_worker_says_what_is_wrong_with_them_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LIVEKIT_URL", MEDIA["LIVEKIT_URL"])
    assert worker.run() == 2
    assert "LIVEKIT_API_SECRET is missing" in capsys.readouterr().err
