"""Answers: a struct of the contract becomes bytes here, once, without a second serializer."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from litestar import Response

JSON = "application/json"


def json_response(
    body: msgspec.Struct, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response[bytes]:
    return bytes_response(msgspec.json.encode(body), status, headers)


def bytes_response(
    content: bytes,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    media_type: str = JSON,
) -> Response[bytes]:
    return Response(content, status_code=status, headers=headers, media_type=media_type)


def empty_response(status: int = 204, headers: Mapping[str, str] | None = None) -> Response[None]:
    return Response(None, status_code=status, headers=headers)
