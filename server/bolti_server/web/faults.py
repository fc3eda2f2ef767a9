"""What a JSON Schema validator complains about, as faults in our words: a pointer, a code, what is expected.

Rule: each fault names one thing. Of alternatives (`anyOf`) only the one that was meant is told: that of the value's own
type. A phone number's complaints are `invalid_phone_number`, whatever keyword found them (product.md, section 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import jsonschema_rs

from bolti_server.base.errors import Fault
from bolti_server.web.pattern_words import words_for

MOST_FAULTS = 100
PHONE_NUMBER = "invalid_phone_number"
_LONGEST_LIST = 12
_PHONE_SCHEMAS = ("PhoneNumber", "PhoneNumberOrNull")
_FORMATS = {
    "date-time": "Expected an instant in RFC 3339 with an offset, e.g. 2026-11-25T09:30:00+05:30 or …Z.",
}
_TYPES = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


def faults_of(validator: jsonschema_rs.Validator, value: object) -> list[Fault]:
    """Everything that is wrong with `value` (at most MOST_FAULTS), in the order of the value; empty where it is valid."""
    found: dict[tuple[str, str], Fault] = {}
    for fault in _faults(validator.iter_errors(value)):
        found.setdefault((fault.pointer, fault.code), fault)
        if len(found) == MOST_FAULTS:
            break
    # An empty text that has no pattern either is one mistake.
    lengths = {pointer for pointer, code in found if code in ("too_short", "too_long")}
    return [
        fault
        for (pointer, code), fault in found.items()
        if code != "invalid_format" or pointer not in lengths
    ]


def pointer_of(path: Iterable[str | int]) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _faults(errors: Iterable[jsonschema_rs.ValidationError]) -> Iterator[Fault]:
    for error in errors:
        kind: Any = error.kind
        path = error.instance_path
        match kind.name:
            case "anyOf" | "oneOf":
                yield from _faults_of_alternatives(error)
            case "additionalProperties":
                for name in kind.unexpected:
                    yield Fault(
                        "unknown_field", "There is no such field.", pointer_of([*path, name])
                    )
            case "required":
                yield Fault("required", "Is required.", pointer_of([*path, kind.property]))
            case _:
                code, detail = _told(error)
                yield Fault(code, detail, pointer_of(path))


def _faults_of_alternatives(error: jsonschema_rs.ValidationError) -> Iterator[Fault]:
    """Of the alternative that gets furthest into the value; the one that wants another type was not meant."""
    kind: Any = error.kind
    alternatives: Sequence[Sequence[jsonschema_rs.ValidationError]] = getattr(kind, "context", ())
    meant = [
        errors
        for errors in alternatives
        if not any(e.kind.name == "type" and e.instance_path == error.instance_path for e in errors)
    ]
    if len(meant) == 1:
        yield from _faults(meant[0])
    elif len(alternatives) == 2 and not meant:
        # Both want another type (null among them): say what the first, the one that is not null, wants.
        yield from _faults(alternatives[0])
    else:
        yield Fault("invalid", "Fits none of the allowed shapes.", pointer_of(error.instance_path))


def _told(error: jsonschema_rs.ValidationError) -> tuple[str, str]:
    """(code, detail) of one complaint."""
    kind: Any = error.kind
    if any(part in _PHONE_SCHEMAS for part in error.schema_path):
        return PHONE_NUMBER, (
            "Expected a phone number in E.164 (+, country code, subscriber number, no spaces), e.g. +919876543210."
        )
    match kind.name:
        case "type":
            types = " or ".join(
                _TYPES.get(each, each) for each in sorted(kind.types, key=_null_last)
            )
            return "wrong_type", f"Expected {types}."
        case "enum":
            options = [each for each in kind.options if each is not None]
            shown = ", ".join(str(each) for each in options[:_LONGEST_LIST])
            more = (
                f" (and {len(options) - _LONGEST_LIST} more)"
                if len(options) > _LONGEST_LIST
                else ""
            )
            return "not_allowed", f"Expected one of: {shown}{more}."
        case "pattern":
            return "invalid_format", f"Expected {words_for(kind.pattern)}."
        case "format":
            return "invalid_format", _FORMATS.get(kind.format, f"Expected a {kind.format}.")
        case "minLength" | "minItems" | "minProperties":
            return "too_short", f"Needs at least {_counted(kind.limit, _UNITS[kind.name])}."
        case "maxLength" | "maxItems" | "maxProperties":
            return "too_long", f"May have at most {_counted(kind.limit, _UNITS[kind.name])}."
        case "minimum" | "exclusiveMinimum":
            return "too_small", f"Must be {_BOUNDS[kind.name]} {kind.limit}."
        case "maximum" | "exclusiveMaximum":
            return "too_large", f"Must be {_BOUNDS[kind.name]} {kind.limit}."
        case "uniqueItems":
            return "repeated", "Has an entry twice."
        case "propertyNames":
            return "invalid_name", "Has a name that is not allowed."
        case other:
            return "invalid", f"Is not valid ({other})."


_UNITS = {
    "minLength": ("character", "characters"),
    "maxLength": ("character", "characters"),
    "minItems": ("entry", "entries"),
    "maxItems": ("entry", "entries"),
    "minProperties": ("field", "fields"),
    "maxProperties": ("field", "fields"),
}
_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "more than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
}


def _counted(count: int, names: tuple[str, str]) -> str:
    return f"{count:,} {names[count != 1]}"


def _null_last(name: str) -> tuple[bool, str]:
    return name == "null", name
