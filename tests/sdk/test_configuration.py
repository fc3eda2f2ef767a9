"""Where a client takes its server and key from, and where a key never goes."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from tests.sdk.conftest import API_KEY, Face
from tests.sdk.support.contract import example
from tests.sdk.support.scripted_server import ScriptedServer, json_reply

import bolti
from bolti._profile import profile_path, read_profile, write_profile

OTHER_KEY = "bolti_sk_OTHEROTHEROTHEROTHEROTHEROT00SECRET"
AGENT = "agent_01kavqm3t8e6zb2c4d5f7g9h1a"


def asked(server: ScriptedServer, **options: Any) -> tuple[str, str]:
    """(authorization, path) of a request with such a client."""
    server.answers = [json_reply(example("Agent"))]
    with bolti.Bolti(**options) as client:
        client.agents.get(AGENT)
    return server.received[-1].headers["authorization"], server.received[-1].path


def test_arguments_win_over_the_environment(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOLTI_API_KEY", OTHER_KEY)
    monkeypatch.setenv("BOLTI_BASE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("BOLTI_WORKSPACE_ID", "ws_env")
    found = asked(server, api_key=API_KEY, base_url=server.base_url, workspace_id="ws_given")
    assert found == (f"Bearer {API_KEY}", f"/workspaces/ws_given/agents/{AGENT}")


def test_the_environment_wins_over_the_profile(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_profile("http://127.0.0.1:1", OTHER_KEY, "ws_profile")
    monkeypatch.setenv("BOLTI_API_KEY", f"{API_KEY}\n")
    monkeypatch.setenv("BOLTI_BASE_URL", f"{server.base_url}/v1/")
    assert asked(server) == (f"Bearer {API_KEY}", f"/v1/workspaces/current/agents/{AGENT}")


def test_the_profile_is_enough(server: ScriptedServer) -> None:
    write_profile(server.base_url, API_KEY, "ws_profile")
    assert asked(server) == (f"Bearer {API_KEY}", f"/workspaces/ws_profile/agents/{AGENT}")


def test_the_profiles_key_goes_to_the_profiles_server_only() -> None:
    write_profile("http://127.0.0.1:8000", OTHER_KEY, "ws_profile")
    with pytest.raises(bolti.ConfigurationError, match="goes nowhere else") as caught:
        bolti.Bolti(base_url="https://example.com")
    assert OTHER_KEY not in str(caught.value)


def test_nothing_set_says_what_to_set() -> None:
    with pytest.raises(bolti.ConfigurationError, match=r"BOLTI_API_KEY and BOLTI_BASE_URL.*dev"):
        bolti.Bolti()
    with pytest.raises(bolti.ConfigurationError, match="Set BOLTI_BASE_URL"):
        bolti.Bolti(api_key=API_KEY)


@pytest.mark.parametrize("key", ["", "  ", "two words", "bolti_sk_é", "a\nb"])
def test_a_key_that_is_none_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(bolti.ConfigurationError) as caught:
        bolti.Bolti(api_key=key, base_url="http://127.0.0.1:1")
    assert not key.strip() or key not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "ftp://example.com",
        "http://",
        "http://u:pw@x",
        "http://x?a=1",
        "http://[x",
        "http://x:99999",
    ],
)
def test_a_base_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(bolti.ConfigurationError, match=r"127\.0\.0\.1:8000") as caught:
        bolti.Bolti(api_key=API_KEY, base_url=url)
    assert "pw" not in str(caught.value)


def test_a_profile_is_its_owners_alone_and_written_whole() -> None:
    path = write_profile("http://127.0.0.1:1", API_KEY, "ws_1")
    assert path == profile_path()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    write_profile("http://127.0.0.1:2", API_KEY, "ws_2")
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    profile = read_profile()
    assert profile is not None
    assert (profile.base_url, profile.workspace_id) == ("http://127.0.0.1:2", "ws_2")
    assert API_KEY not in repr(profile)


def test_a_profile_lies_in_the_users_configuration_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("BOLTI_PROFILE")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr("sys.platform", "linux")
    assert (
        write_profile("http://x", API_KEY, "ws_1") == tmp_path / "config" / "bolti" / "profile.json"
    )


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"base_url": "http://x", "api_key": 7, "workspace_id": ""}']
)
def test_a_damaged_profile_is_told(content: str) -> None:
    profile_path().write_text(content)
    with pytest.raises(bolti.ConfigurationError, match="damaged"):
        bolti.Bolti()


def test_no_profile_is_none() -> None:
    assert read_profile() is None


@pytest.mark.parametrize("kind", [bolti.Bolti, bolti.AsyncBolti])
def test_a_client_shows_where_it_goes_and_never_its_key(kind: Any) -> None:
    client = kind(api_key=API_KEY, base_url="http://127.0.0.1:1")
    assert "127.0.0.1:1" in repr(client)
    assert API_KEY not in json.dumps(
        [repr(client), repr(vars(client)), str(client._core.wire.configuration)]
    )


async def test_requests_to_this_machine_go_through_no_proxy(
    face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    face.server.answers = [json_reply(example("Agent"))]
    assert (await face(lambda client: client.agents.get(AGENT), max_retries=0)).id == AGENT


@pytest.mark.parametrize("limits", [{"timeout_seconds": 0}, {"max_retries": -1}])
def test_limits_that_make_no_sense_are_refused(limits: Any) -> None:
    with pytest.raises(ValueError, match="timeout_seconds"):
        bolti.Bolti(api_key=API_KEY, base_url="http://127.0.0.1:1", **limits)


async def test_other_limits_share_the_connections(face: Face) -> None:
    face.server.answers = [json_reply(example("Agent"))]
    client = face.client()
    other = client.with_options(max_retries=0)
    assert other._core.connections is client._core.connections
    assert (other._core.options.max_retries, client._core.options.max_retries) == (0, 4)
    assert other._core.options.timeout_seconds == client._core.options.timeout_seconds


async def test_a_closed_client_says_so(face: Face) -> None:
    client = face.client()
    if face.is_async:
        await client.aclose()
        with pytest.raises(RuntimeError, match="closed"):
            await client.agents.get(AGENT)
    else:
        client.close()
        with pytest.raises(RuntimeError, match="closed"):
            client.agents.get(AGENT)
