"""`If-Match` and `If-None-Match` (RFC 9110, section 13) for things that have a version.

Rule: an ETag is strong: two answers with the same one are the same bytes. It begins with the version, and what follows a dot
(what changed in the answer though nobody saved) does not count for `If-Match`: that guards against another editor.
"""

from __future__ import annotations

import re
from typing import Any

import attrs
from litestar import Request

from bolti_server.base.errors import Fault, Refusal

_TAG = re.compile(r'"([!#-~]*)"')


@attrs.frozen
class IfMatch:
    """The versions that a change is meant for; `*` is any."""

    is_any: bool
    versions: frozenset[str]

    def refusal(self, what: str, version: int) -> Refusal | None:
        """412 where `what` is in another version."""
        if self.is_any or str(version) in self.versions:
            return None
        detail = f"The {what} is in version {version} by now. Read it again, and make the change on that."
        fault = Fault("precondition_failed", detail, "header:If-Match")
        return Refusal(
            412,
            "precondition_failed",
            detail,
            faults=[fault],
            extras={"current_version": version},
            headers={"ETag": etag_of(version)},
        )


def etag_of(version: int, changes_since: int = 0) -> str:
    """`"3"`, or `"3.1"` where the answer has changed once without a new version."""
    return f'"{version}.{changes_since}"' if changes_since else f'"{version}"'


def if_match(request: Request[Any, Any, Any]) -> IfMatch | None:
    """What `If-Match` says; None where it is not sent. Its shape has been checked against the contract."""
    text = request.headers.get("if-match")
    if text is None:
        return None
    tags = _TAG.findall(text)
    return IfMatch(text == "*", frozenset(tag.partition(".")[0] for tag in tags))


def is_what_the_caller_has(request: Request[Any, Any, Any], etag: str) -> bool:
    """Whether `If-None-Match` names this ETag, so that the answer is 304. Weak ones count (section 8.8.3.2)."""
    text = request.headers.get("if-none-match")
    return text is not None and (text == "*" or etag in {f'"{tag}"' for tag in _TAG.findall(text)})
