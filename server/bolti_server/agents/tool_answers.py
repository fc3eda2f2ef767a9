"""What an LLM gets to read of a service's answer.

Rule: whatever a service sends back becomes a result of bounded size or an error in plain words, never an exception:
the callee is waiting on the line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs
import msgspec

MAX_RESULT_CHARACTERS = 16_000  # about 4,000 tokens; the LLM reads it before it says a word
MAX_ERROR_TEXT_CHARACTERS = 2_000

# PostgreSQL's jsonb has no U+0000. In encoded JSON it is the escape, after an even number of backslashes.
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


@attrs.frozen
class Result:
    value: Any
    is_error: bool = False


def failed(text: str) -> Result:
    return Result({"error": text}, is_error=True)


def result_of(
    status: int, location: str | None, body: bytes, mapping: Mapping[str, str] | None
) -> Result:
    """The result for the LLM of an HTTP answer. `mapping` is name → JSON pointer into a JSON answer."""
    data = read_body(body)
    if 300 <= status < 400:
        place = f" to {location[:200]}" if location else ""
        return failed(
            f"The service answered {status}, a redirect{place}. Redirects are not followed: "
            "put the final address into the tool."
        )
    if status >= 500:
        return failed(f"The service failed (it answered {status}). Trying again later may help.")
    if status >= 400:
        answer = trimmed(data, MAX_ERROR_TEXT_CHARACTERS)
        return Result(
            {"error": f"The service refused the request (it answered {status}).", "answer": answer},
            is_error=True,
        )
    if mapping:
        if isinstance(data, str):
            return failed(
                "The service's answer is not JSON, so response_mapping finds nothing in it."
            )
        data = {name: find(data, pointer) for name, pointer in mapping.items()}
    if data == "":
        data = f"Done (the service answered {status} without content)."
    return Result(trimmed(data, MAX_RESULT_CHARACTERS))


def read_body(body: bytes) -> Any:
    """JSON as data, anything else as text; without NUL characters."""
    text = body.decode("utf-8", errors="replace").replace("\x00", "")
    try:
        data = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text
    if "\\u0000" in text:
        data = msgspec.json.decode(_NUL.sub(r"\1", text))
    return data


def find(data: Any, pointer: str) -> Any:
    """What a JSON pointer (RFC 6901) points at, or None."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(data, dict):
            data = data.get(key)
        elif isinstance(data, list) and len(key) < 8 and key.isdecimal() and int(key) < len(data):
            data = data[int(key)]
        else:
            return None
    return data


def trimmed(data: Any, limit: int) -> Any:
    """`data` as it is, or the beginning of its text with a note where its JSON is longer than `limit` characters."""
    text = data if isinstance(data, str) else msgspec.json.encode(data).decode()
    if len(text) <= limit:
        return data
    return {
        "beginning": text[:limit],
        "note": f"Only the first {limit} of {len(text)} characters are shown.",
    }
