"""deploy/compose.yaml: valid by the Compose Specification, each service with what it needs and no secret more.

Docker itself is not run here; livekit.yaml is read by the real livekit-server in tests/stack/test_deploy.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from bolti_server.base.settings import Settings
from bolti_server.bootstrap.worker_settings import WorkerSettings
from bolti_server.entrypoints.complaints import complaints_about_livekit
from bolti_server.entrypoints.doctor.database import LEAST_VERSION
from bolti_server.entrypoints.serve import complaints_about

ROOT = Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
# The schema of the Compose Specification, as the package check-jsonschema ships it.
COMPOSE_SPEC = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONCE = {"migrate", "bucket"}  # run to their end
OURS = {"migrate", "server", "worker"}
# Of other programs, by name; what is ours must be a setting of Settings or WorkerSettings.
OF_OTHERS = re.compile(
    r"(AWS|POSTGRES|MINIO|MC|OPENAI|DEEPGRAM|CARTESIA)_\w+|LIVEKIT_(KEYS|WS_URL)|OBJECTS_SECRET_KEY"
)
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?P<kind>:-|:\?)?(?P<rest>[^}]*)\}")


def example() -> dict[str, str]:
    """env.example as it is: name → value."""
    lines = (DEPLOY / "env.example").read_text("utf-8").splitlines()
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    assert all(equals for _, equals, _ in pairs)
    assert len({name for name, _, _ in pairs}) == len(pairs), "a name twice"
    return {name: value for name, _, value in pairs}


def filled() -> dict[str, str]:
    """env.example with a secret in every place that is left to fill in."""
    return {
        name: value or f"{name[:6]}-{index}-xK9vQ2mW7rT4yU1iO8pA3sD6fG5hJ"
        for index, (name, value) in enumerate(example().items())
    }


def environment_of(service: str, values: Mapping[str, str]) -> dict[str, str]:
    """What the service's process sees, interpolated as compose does it."""

    def value(match: re.Match[str]) -> str:
        found = values.get(match["name"], "")
        if found:
            return found
        assert match["kind"] == ":-", f"{match['name']} has no value"
        return str(match["rest"])

    given = SERVICES[service].get("environment", {})
    return {name: _VARIABLE.sub(value, str(text)) for name, text in given.items()}


def variables() -> dict[str, set[str]]:
    """Name of every variable in compose.yaml → the kinds of places that it has (`:?` needed, `:-` with a default)."""
    found: dict[str, set[str]] = {}
    for match in _VARIABLE.finditer((DEPLOY / "compose.yaml").read_text("utf-8")):
        found.setdefault(match["name"], set()).add(match["kind"] or "")
    return found


def settings_names() -> set[str]:
    names = set()
    for kind in (Settings, WorkerSettings):
        for name, field in kind.model_fields.items():
            alias = field.validation_alias
            names.add(alias if isinstance(alias, str) else f"BOLTI_{name.upper()}")
    return names


def test_it_is_valid_by_the_compose_specification() -> None:
    schema = json.loads(COMPOSE_SPEC.read_text("utf-8"))
    validator = jsonschema_rs.validator_for(schema)
    assert [error.message for error in validator.iter_errors(COMPOSE)] == []
    broken = {**COMPOSE, "services": {"x": {"image": "y", "prots": ["1:1"]}}}
    assert not validator.is_valid(broken), "a guard that never closes is none"


def test_everything_that_stays_is_looked_at_and_started_again() -> None:
    for name, service in SERVICES.items():
        if name in ONCE:
            assert service["restart"] == "no"
        else:
            assert service["restart"] == "unless-stopped", name
            assert service["healthcheck"]["test"][0] == "CMD", name


def test_whoever_waits_waits_for_health_or_an_end() -> None:
    for name, service in SERVICES.items():
        for other, wait in service.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if other in ONCE else "service_healthy"
            assert wait["condition"] == wanted, (name, other)


def test_only_sound_and_sip_are_published_to_the_world() -> None:
    public, local = set(), set()
    for name, service in SERVICES.items():
        for port in service.get("ports", ()):
            head = port.rpartition(":")[0]
            if head.count(":") or head.count(".") == 3:
                assert ip_address(head.split(":")[0]).is_loopback, port
                local.add(f"{name} {port}")
            else:
                public.add(f"{name} {port}")
    assert local == {"livekit 127.0.0.1:7880:7880", "server 127.0.0.1:8000:8000"}
    assert public == {
        "livekit 7881:7881",
        "livekit 7882:7882/udp",
        "sip 5060:5060/udp",
        "sip 5060:5060/tcp",
        "sip 10000-10499:10000-10499/udp",
    }


def test_what_is_at_rest_stands_in_a_network_that_leads_nowhere() -> None:
    internal = {name for name, network in COMPOSE["networks"].items() if network.get("internal")}
    assert internal == {"data", "bus"}
    for name in ("postgres", "redis", "objects"):
        assert set(SERVICES[name]["networks"]) <= internal, name
        assert "ports" not in SERVICES[name]
    assert set(SERVICES["worker"]["networks"]) & internal == set(), "a worker knows no database"


def test_each_service_gets_its_own_secrets_and_no_other() -> None:
    secrets = {
        "POSTGRES_PASSWORD": {"postgres", "server", "migrate"},
        "OBJECTS_SECRET_KEY": {"objects", "bucket", "server"},
        "BOLTI_SECRET_KEY": {"server"},
        "BOLTI_WORKER_TOKEN": {"server", "worker"},
        "LIVEKIT_API_SECRET": {"livekit", "sip", "server", "worker"},
        "OPENAI_API_KEY": {"worker"},
        "DEEPGRAM_API_KEY": {"worker"},
        "CARTESIA_API_KEY": {"worker"},
    }
    values = filled()
    for secret, holders in secrets.items():
        found = {
            name
            for name in SERVICES
            if any(values[secret] in text for text in environment_of(name, values).values())
        }
        assert found == holders, secret
        assert values[secret] not in (DEPLOY / "compose.yaml").read_text("utf-8")


def test_our_own_processes_run_with_few_rights() -> None:
    for name in OURS:
        service = SERVICES[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_example_names_every_variable_and_no_other() -> None:
    found = variables()
    assert set(example()) == set(found)
    needed = {name for name, kinds in found.items() if ":?" in kinds}
    empty = {name for name, value in example().items() if not value}
    models = {"OPENAI_API_KEY", "DEEPGRAM_API_KEY", "CARTESIA_API_KEY"}
    assert empty - models <= needed, "what is left empty and needed is told by compose"
    assert all("" not in kinds for kinds in found.values()), "a variable without default or guard"


def test_every_variable_of_ours_is_a_setting() -> None:
    known = settings_names()
    seen = set()
    for name in OURS:
        for variable in SERVICES[name]["environment"]:
            seen.add(variable)
            assert variable in known or OF_OTHERS.fullmatch(variable), (name, variable)
    for variable in example():
        assert variable in known | {"BOLTI_VERSION"} or OF_OTHERS.fullmatch(variable), variable
    needed = {"BOLTI_DATABASE_URL", "BOLTI_SECRET_KEY", "BOLTI_WORKER_TOKEN", "BOLTI_PUBLIC_URL"}
    assert needed <= seen


def test_with_the_example_filled_in_server_and_worker_would_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment_of("server", filled()).items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert complaints_about(settings) == []
    assert settings.browser_media_url == "wss://livekit.example.com"
    for name, value in environment_of("worker", filled()).items():
        monkeypatch.setenv(name, value)
    worker = WorkerSettings()  # type: ignore[call-arg]  # from the environment
    assert complaints_about_livekit(worker) == []
    assert worker.worker_health_port == 8081


def test_a_container_is_given_the_time_that_a_drain_may_take() -> None:
    drain = int(environment_of("worker", filled())["BOLTI_WORKER_DRAIN_SECONDS"])
    minutes = int(SERVICES["worker"]["stop_grace_period"].removesuffix("m"))
    assert minutes * 60 > drain


def test_ports_are_the_same_in_compose_and_in_the_programs_own_files() -> None:
    livekit = yaml.safe_load((DEPLOY / "livekit.yaml").read_text("utf-8"))
    sip = yaml.safe_load((DEPLOY / "sip.yaml").read_text("utf-8"))
    assert livekit["room"]["auto_create"] is True, "else callers hear busy"
    published = " ".join(
        str(port) for each in ("livekit", "sip") for port in SERVICES[each]["ports"]
    )
    for port in (livekit["port"], livekit["rtc"]["tcp_port"], livekit["rtc"]["udp_port"]):
        assert f"{port}:{port}" in published
    assert f"{sip['sip_port']}:{sip['sip_port']}/udp" in published
    assert f"{sip['rtp_port']}:{sip['rtp_port']}/udp" in published
    assert str(sip["health_port"]) in str(SERVICES["sip"]["healthcheck"])
    assert livekit["redis"] == sip["redis"]
    assert livekit["webhook"]["api_key"] == example()["LIVEKIT_API_KEY"]
    assert livekit["webhook"]["urls"] == ["http://server:8000/callbacks/livekit"]


# By pkg/config/config.go of livekit-sip 1.9: it reads a wrong name as nothing, so a typing error would go unseen.
KNOWN_TO_SIP = {"redis", "sip_port", "rtp_port", "use_external_ip", "hide_inbound_port"}
KNOWN_TO_SIP |= {"health_port", "logging", "nat_1_to_1_ip", "local_net", "listen_ip", "tls"}


def test_the_sip_services_file_has_no_name_that_it_does_not_know() -> None:
    sip = yaml.safe_load((DEPLOY / "sip.yaml").read_text("utf-8"))
    assert set(sip) <= KNOWN_TO_SIP
    assert set(sip["logging"]) <= {"level", "json"}


def test_versions_are_those_that_the_stack_is_tested_with() -> None:
    stack = (ROOT / "tools" / "stack.py").read_text("utf-8")
    (livekit,) = re.findall(r'^LIVEKIT_VERSION = "([\d.]+)"', stack, re.MULTILINE)
    recorded = (ROOT / "server/bolti_server/phone_network/sip_answers.py").read_text("utf-8")
    (sip,) = re.findall(r"livekit-sip (\d+\.\d+\.\d+)", recorded)
    assert SERVICES["livekit"]["image"] == f"livekit/livekit-server:v{livekit}"
    assert SERVICES["sip"]["image"] == f"livekit/sip:v{sip}"
    for file, version in (("livekit.yaml", livekit), ("sip.yaml", sip)):
        assert version in (DEPLOY / file).read_text("utf-8").partition("\n")[0]
    assert all(":" in service["image"] for service in SERVICES.values()), "no image without a tag"
    assert not any(service["image"].endswith(":latest") for service in SERVICES.values())
    assert int(SERVICES["postgres"]["image"].removeprefix("postgres:")) >= LEAST_VERSION


def test_the_readme_says_what_was_not_tried() -> None:
    text = " ".join((DEPLOY / "README.md").read_text("utf-8").split())
    assert "the images themselves are what nobody has tried" in text
