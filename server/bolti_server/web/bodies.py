"""Request bodies: bytes become a checked struct of the contract, or a refusal that lists everything that is wrong.

Rule: strict. Not JSON: NaN, a key given twice, invalid UTF-8, half a surrogate, nesting deeper than MOST_NESTING. Not for
us: U+0000 anywhere (PostgreSQL's text can't hold it). Not in the contract: an unknown field, a wrong type. A schema's
integer may be written 3.0 (JSON Schema 2020-12, section 4.2.3), so we take it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec
from litestar import Request
from litestar.exceptions.http_exceptions import RequestEntityTooLarge

from bolti_server.base.errors import Fault, Refusal
from bolti_server.web.contract import BODY_LIMIT_BYTES, Operation, load_contract
from bolti_server.web.faults import PHONE_NUMBER, faults_of, pointer_of

MOST_NESTING = 64

T = TypeVar("T", bound=msgspec.Struct)


async def body_of(request: Request[Any, Any, Any], kind: type[T]) -> T:
    """The request's body, valid by the operation's schema. An optional body that is not sent is `{}`.

    Raises Refusal: 400 malformed_json, validation_failed or invalid_phone_number, 413 body_too_large,
    415 unsupported_media_type.
    """
    operation = load_contract().operations[str(request.route_handler.operation_id)]
    try:
        raw = await request.body()
    except RequestEntityTooLarge:
        raise too_large(operation.most_body_bytes) from None
    if len(raw) > operation.most_body_bytes:
        raise too_large(operation.most_body_bytes)
    if not raw and not operation.is_body_required:
        raw = b"{}"
    else:
        _check_media_type(request)
    return parse_body(operation, raw, kind)


async def body_or_refusal(request: Request[Any, Any, Any], kind: type[T]) -> T | Refusal:
    """As `body_of`, with the refusal returned: for routes that list it with other refusals (`errors.combine`)."""
    try:
        return await body_of(request, kind)
    except Refusal as refusal:
        return refusal


def parse_body(operation: Operation, raw: bytes, kind: type[T]) -> T:
    """`raw` as the operation's body. Raises Refusal as `body_of`."""
    data = parse_json(raw)
    assert operation.body is not None, f"{operation.id} takes no body"
    if not operation.body.is_valid(data):
        raise validation_failed(faults_of(operation.body, data))
    if b"\\u0000" in raw and (faults := list(_nul_faults(data, []))):
        raise validation_failed(faults)
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError:
        pass
    try:
        return msgspec.convert(_whole_numbers(data), kind)
    except (
        msgspec.ValidationError
    ) as error:  # valid by the schema, but a number beyond 64 bits and the like
        detail = str(error).removesuffix(".")
        raise validation_failed([Fault("invalid", f"{detail}.", "")]) from None


def parse_json(raw: bytes) -> Any:
    """Plain data. Raises Refusal 400 malformed_json, saying where."""
    if not raw:
        raise _malformed("it is empty")
    try:
        data = msgspec.json.decode(raw)  # refuses NaN, invalid UTF-8, half a surrogate; 2 µs
        if raw.count(b":") > 1:
            json.loads(raw, object_pairs_hook=_without_repetition)
    except RecursionError:
        raise _malformed(f"it is nested deeper than {MOST_NESTING}") from None
    except _RepeatedKey as repeated:
        raise _malformed(f"the key {str(repeated)[:100]!r} is given twice") from None
    except UnicodeDecodeError as error:
        raise _malformed(f"invalid UTF-8 at byte {error.start}") from None
    except (msgspec.DecodeError, ValueError) as error:
        raise _malformed(str(error).removeprefix("JSON is malformed: ")) from None
    if raw.count(b"[") + raw.count(b"{") > MOST_NESTING and _depth(data) > MOST_NESTING:
        raise _malformed(f"it is nested deeper than {MOST_NESTING}")
    return data


def validation_failed(faults: list[Fault]) -> Refusal:
    """400: `invalid_phone_number` where nothing but phone numbers is wrong, else `validation_failed`."""
    if {fault.code for fault in faults} == {PHONE_NUMBER}:
        names = ", ".join(fault.pointer.removeprefix("/") for fault in faults)
        detail = (
            f"{names}: not a phone number in E.164 (+, country code, subscriber number, no spaces)."
        )
        return Refusal(400, PHONE_NUMBER, detail, faults=faults)
    things = "1 thing" if len(faults) == 1 else f"{len(faults)} things"
    are = "is" if len(faults) == 1 else "are"
    detail = f"{things} in the request {are} not valid; see errors."
    return Refusal(400, "validation_failed", detail, faults=faults)


def too_large(limit_bytes: int = BODY_LIMIT_BYTES) -> Refusal:
    size = "1 MiB" if limit_bytes == BODY_LIMIT_BYTES else f"{limit_bytes} bytes"
    return Refusal(413, "body_too_large", f"The body is larger than {size}.")


def _check_media_type(request: Request[Any, Any, Any]) -> None:
    media_type, _, options = request.headers.get("content-type", "").partition(";")
    charset = options.strip().lower().removeprefix("charset=").strip('"')
    if media_type.strip().lower() != "application/json" or charset not in ("", "utf-8", "utf8"):
        raise Refusal(
            415, "unsupported_media_type", "Send the body as Content-Type: application/json."
        )


def _malformed(reason: str) -> Refusal:
    return Refusal(400, "malformed_json", f"The body is not valid JSON: {reason}.")


class _RepeatedKey(ValueError):
    pass


def _without_repetition(pairs: list[tuple[str, Any]]) -> None:
    """The value itself is not needed, only that no key comes twice."""
    if len(pairs) > 1:
        names = [name for name, _ in pairs]
        if len(set(names)) != len(names):
            raise _RepeatedKey(next(name for name in names if names.count(name) > 1))


def _depth(data: Any) -> int:
    depth, level = 0, [data]
    while containers := [each for each in level if isinstance(each, dict | list)]:
        depth += 1
        level = [
            child
            for each in containers
            for child in (each.values() if isinstance(each, dict) else each)
        ]
    return depth


def _nul_faults(data: Any, path: list[str | int]) -> Iterator[Fault]:
    match data:
        case str():
            if "\0" in data:
                yield Fault("invalid_format", "May not contain U+0000.", pointer_of(path))
        case dict():
            for name, value in data.items():
                if "\0" in name:
                    yield Fault("invalid_name", "Has a name with U+0000.", pointer_of(path))
                yield from _nul_faults(value, [*path, name])
        case list():
            for index, value in enumerate(data):
                yield from _nul_faults(value, [*path, index])


def _whole_numbers(data: Any) -> Any:
    """3.0 as 3."""
    match data:
        case float() if data.is_integer():
            return int(data)
        case dict():
            return {name: _whole_numbers(value) for name, value in data.items()}
        case list():
            return [_whole_numbers(value) for value in data]
    return data
