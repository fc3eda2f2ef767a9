"""The contract as it is, and the page that shows it without the internet."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from importlib import resources
from pathlib import Path

import httpx2
import yaml

CONTRACT = Path(__file__).resolve().parents[3] / "contracts" / "openapi.yaml"
API = resources.files("bolti_server").joinpath("api")


async def test_the_contract_is_served_as_it_was_written(anonymous: httpx2.AsyncClient) -> None:
    answer = await anonymous.get("/openapi.yaml")
    assert answer.content == CONTRACT.read_bytes()
    assert answer.headers["content-type"].startswith("application/yaml")
    assert (await anonymous.get("/openapi.json")).json() == yaml.safe_load(CONTRACT.read_text())


async def test_the_page_loads_nothing_from_elsewhere(anonymous: httpx2.AsyncClient) -> None:
    page = await anonymous.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    loaded = re.findall(r'<(?:script|link|img|iframe)[^>]*(?:src|href)="([^"]+)"', page.text)
    assert loaded
    for url in loaded:
        assert url.startswith(("/docs/assets/", "data:")), url
        if url.startswith("/"):
            assert (await anonymous.get(url)).status_code == 200, url
    assert not re.search(r"<script>|\son\w+=|style=", page.text), (
        "nothing inline: the policy forbids it"
    )


async def test_the_pages_policy_lets_it_run_and_ask_only_this_server(
    anonymous: httpx2.AsyncClient,
) -> None:
    policy = (await anonymous.get("/docs")).headers["content-security-policy"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    assert "unsafe" not in policy
    assert "http" not in policy


async def test_no_other_file_can_be_had(anonymous: httpx2.AsyncClient) -> None:
    for name in (
        "app.py",
        "..%2fapp.py",
        "vendored.json",
        "vendored%2fvendored.json",
        "reference.html",
    ):
        assert (await anonymous.get(f"/docs/assets/{name}")).status_code == 404, name


async def test_the_servers_address_leads_to_the_reference(anonymous: httpx2.AsyncClient) -> None:
    answer = await anonymous.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")


def test_vendored_files_are_the_listed_ones_with_their_licences() -> None:
    folder = API.joinpath("vendored")
    listed: dict[str, str] = {}
    for entry in json.loads(folder.joinpath("vendored.json").read_text()):
        assert {"name", "version", "integrity", "licence"} <= entry.keys()
        assert entry["licence_file"] in entry["files"]
        listed |= entry["files"]
    there = {file.name for file in folder.iterdir()} - {"vendored.json"}
    assert there == set(listed)
    for name, integrity in listed.items():
        digest = hashlib.sha512(folder.joinpath(name).read_bytes()).digest()
        assert integrity == f"sha512-{base64.b64encode(digest).decode()}", name
