"""A tool's input schema: what an LLM may say to a tool, and what it is told when it says something else.

Rule: arguments are what the tool's author declared and nothing more, because a caller can talk an LLM into anything:
an object schema that says nothing about further properties is closed. A schema fetches nothing (`offline`) and its
patterns run in linear time (`RegexOptions`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jsonschema_rs
import msgspec

from bolti_server.base.errors import Fault

Schema = dict[str, Any]

MAX_SCHEMA_BYTES = 32_000
MAX_ERRORS_TOLD = 5


def closed(schema: Mapping[str, Any] | None) -> Schema:
    """The schema as the LLM sees it and arguments are checked: an object without undeclared properties."""
    complete: Schema = {"type": "object", "properties": {}, **(schema or {})}
    complete.setdefault("additionalProperties", False)
    return complete


def schema_faults(schema: Mapping[str, Any] | None, pointer: str = "/input_schema") -> list[Fault]:
    """What keeps `schema` from being a tool's parameters."""
    if schema is None:
        return []
    if len(msgspec.json.encode(schema)) > MAX_SCHEMA_BYTES:
        return [Fault("too_large", f"The schema is larger than {MAX_SCHEMA_BYTES} bytes.", pointer)]
    if schema.get("type", "object") != "object":
        detail = 'The parameters of a tool are an object: "type" has to be "object".'
        return [Fault("invalid_schema", detail, f"{pointer}/type")]
    try:
        _validator(closed(schema))
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        where = "".join(f"/{part}" for part in getattr(error, "instance_path", ()))
        detail = (
            f"This is no JSON Schema (2020-12, references only within it): {_first_line(error)}"
        )
        return [Fault("invalid_schema", detail, pointer + where)]
    return []


def argument_errors(schema: Mapping[str, Any] | None, arguments: Mapping[str, Any]) -> list[str]:
    """What is wrong with `arguments`, in words that an LLM can act on; at most five."""
    errors: list[str] = []
    for error in _validator(closed(schema)).iter_errors(dict(arguments)):
        where = ".".join(str(part) for part in error.instance_path)
        errors.append(f"{where}: {error.message[:300]}" if where else error.message[:300])
        if len(errors) == MAX_ERRORS_TOLD:
            break
    return errors


def _validator(schema: Schema) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        schema, offline=True, pattern_options=jsonschema_rs.RegexOptions()
    )


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0][:300]
