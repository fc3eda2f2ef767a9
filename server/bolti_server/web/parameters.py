"""Query and header parameters, against the contract.

Rule: a parameter that the operation does not have, one that is given twice, and one of the wrong shape are refused
like a wrong field of a body, all at once; what a route gets is typed and has its defaults filled in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from litestar import Request

from bolti_server.base.errors import Fault
from bolti_server.web.contract import Operation, Parameter
from bolti_server.web.faults import faults_of

QUERY_KEY = "bolti_query"
MOST_PARAMETERS = 200


class _Unreadable(ValueError):
    pass


def query_of(request: Request[Any, Any, Any]) -> Mapping[str, Any]:
    """The operation's query parameters by name: int, bool, str or list of str; absent: its default, else no entry."""
    query: Mapping[str, Any] = request.scope[QUERY_KEY]  # type: ignore[literal-required]  # ours, set by admission
    return query


def read_query(operation: Operation, query_string: bytes) -> tuple[dict[str, Any], list[Fault]]:
    """(values by name, what is wrong)."""
    values: dict[str, Any] = {
        each.name: each.default for each in operation.query.values() if each.default is not None
    }
    if not query_string:
        return values, list(_missing(operation.query, {}, "query"))
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MOST_PARAMETERS,
        )
    except ValueError:
        detail = f"Not a query string in UTF-8 with at most {MOST_PARAMETERS} parameters."
        return values, [Fault("malformed_query", detail, "query:")]
    given: dict[str, list[str]] = {}
    for name, text in pairs:
        given.setdefault(name, []).append(text)
    faults = []
    for name, texts in given.items():
        if name not in operation.query:
            known = ", ".join(operation.query) or "none"
            faults.append(
                Fault(
                    "unknown_parameter",
                    f"There is no such parameter; known: {known}.",
                    f"query:{name}",
                )
            )
        else:
            value, found = _read(operation.query[name], texts, "query")
            values[name] = value
            faults += found
    faults += _missing(operation.query, given, "query")
    return values, faults


def header_faults(operation: Operation, headers: Mapping[str, str]) -> list[Fault]:
    """What is wrong with the headers that the operation takes."""
    faults: list[Fault] = []
    for parameter in operation.headers.values():
        text = headers.get(parameter.name.lower())
        if text is not None:
            faults += _read(parameter, [text], "header")[1]
        elif parameter.is_required:
            faults += _missing({parameter.name: parameter}, {}, "header")
    return faults


def _read(parameter: Parameter, texts: list[str], place: str) -> tuple[Any, list[Fault]]:
    pointer = f"{place}:{parameter.name}"
    if not parameter.is_list and len(texts) > 1:
        return None, [Fault("repeated_parameter", "Is given more than once.", pointer)]
    try:
        values = [_typed(parameter.kind, text) for text in texts]
    except _Unreadable as problem:
        return None, [Fault("wrong_type", str(problem), pointer)]
    value = values if parameter.is_list else values[0]
    if parameter.validator.is_valid(value):
        return value, []
    return None, [
        Fault(fault.code, fault.detail, pointer) for fault in faults_of(parameter.validator, value)
    ]


def _typed(kind: str, text: str) -> Any:
    if kind == "boolean":
        if text not in ("true", "false"):
            raise _Unreadable("Expected true or false.")
        return text == "true"
    if kind == "integer":
        # int() would also take blanks, underscores and digits of other scripts.
        if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 20):
            raise _Unreadable("Expected a whole number.")
        return int(text)
    return text


def _missing(
    parameters: Mapping[str, Parameter], given: Mapping[str, Any], place: str
) -> Iterator[Fault]:
    for parameter in parameters.values():
        if parameter.is_required and parameter.name not in given:
            yield Fault("required", "Is required.", f"{place}:{parameter.name}")
