"""The contract as data: its operations, its examples, its schemas with references resolved."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
EVENTS = ROOT / "contracts" / "events"


@dataclass(frozen=True)
class ContractOperation:
    id: str
    method: str
    path: str
    node: dict[str, Any]
    parameters: tuple[dict[str, Any], ...]

    @property
    def is_keyed(self) -> bool:
        return any(each["name"] == "Idempotency-Key" for each in self.parameters)

    @property
    def query_names(self) -> set[str]:
        return {each["name"] for each in self.parameters if each["in"] == "query"}

    @property
    def request_schema(self) -> dict[str, Any] | None:
        content = self.node.get("requestBody", {}).get("content", {})
        return content["application/json"]["schema"] if content else None

    @property
    def success(self) -> tuple[int, str | None, Any]:
        """(status, name of the answer's schema, example)."""
        status = min(code for code in self.node["responses"] if code.startswith("2"))
        media = self.node["responses"][status].get("content", {}).get("application/json")
        if media is None:
            return int(status), None, None
        name = media["schema"]["$ref"].rsplit("/", 1)[1]
        return int(status), name, contract()["components"]["examples"][name]["value"]


@cache
def contract() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "contracts" / "openapi.yaml").read_text(encoding="utf-8"))


def operations() -> Iterator[ContractOperation]:
    for path, item in contract()["paths"].items():
        shared = item.get("parameters", [])
        for method, node in item.items():
            if method != "parameters":
                parameters = (resolved(each) for each in [*shared, *node.get("parameters", [])])
                yield ContractOperation(
                    node["operationId"], method.upper(), path, node, tuple(parameters)
                )


def schemas() -> dict[str, Any]:
    return contract()["components"]["schemas"]


def example(name: str) -> Any:
    return copy.deepcopy(contract()["components"]["examples"][name]["value"])


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    found: Any = contract()
    for part in node["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return found
