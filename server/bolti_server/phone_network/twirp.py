"""Twirp, as LiveKit's services speak it: one message in, one message or one error out, in protobuf or in JSON.

The protocol's own rules (twitchtv.github.io/twirp/docs/spec_v7.html, November 2026): POST only, the answer has the
request's content type, an error is JSON with `code`, `msg` and `meta` whatever was asked in, each code has its HTTP
status.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import attrs
import msgspec
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

PROTOBUF = "application/protobuf"
JSON = "application/json"
HTTP_STATUSES: Mapping[str, int] = {
    "canceled": 408,
    "unknown": 500,
    "invalid_argument": 400,
    "malformed": 400,
    "deadline_exceeded": 408,
    "not_found": 404,
    "bad_route": 404,
    "already_exists": 409,
    "permission_denied": 403,
    "unauthenticated": 401,
    "resource_exhausted": 429,
    "failed_precondition": 412,
    "aborted": 409,
    "internal": 500,
    "unavailable": 503,
}

Kind = TypeVar("Kind", bound=Message)


@attrs.frozen
class TwirpError(Exception):
    """What the caller is told instead of an answer."""

    code: str
    msg: str
    meta: Mapping[str, str] = attrs.Factory(dict)

    @property
    def http_status(self) -> int:
        return HTTP_STATUSES[self.code]

    def to_json(self) -> bytes:
        told: dict[str, object] = {"code": self.code, "msg": self.msg}
        if self.meta:
            told["meta"] = dict(self.meta)
        return msgspec.json.encode(told)


def decode(kind: type[Kind], content_type: str, body: bytes) -> Kind:
    """A request. Raises TwirpError: `bad_route` for a content type that Twirp has not, `malformed` for a broken body."""
    message = kind()
    match _bare(content_type):
        case "application/protobuf":
            try:
                message.ParseFromString(body)
            except DecodeError:
                raise TwirpError("malformed", "the protobuf request could not be decoded") from None
        case "application/json":
            try:
                json_format.Parse(body or b"{}", message, ignore_unknown_fields=True)
            except (json_format.ParseError, UnicodeDecodeError):
                raise TwirpError("malformed", "the json request could not be decoded") from None
        case other:
            raise TwirpError("bad_route", f'unexpected Content-Type: "{other}"')
    return message


def encode(message: Message, content_type: str) -> tuple[bytes, str]:
    """The answer's body and content type, which is that of the request."""
    if _bare(content_type) == JSON:
        told = json_format.MessageToJson(
            message,
            preserving_proto_field_name=True,
            always_print_fields_with_no_presence=True,
            indent=None,
        )
        return told.encode(), JSON
    return message.SerializeToString(), PROTOBUF


def _bare(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
