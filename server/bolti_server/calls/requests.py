"""An outbound call request as far as it can be read, so that everything that is wrong with it is told at once.

Rule: a member that is not valid hides only the checks that need it. A request with a malformed number still hears that
its agent is inactive, that variables are missing and that there is no credit.
"""

from __future__ import annotations

import attrs
import msgspec

from bolti_server.base.errors import Refusal
from bolti_server.contract.structs import OutboundCallRequest

_MEMBERS = frozenset(OutboundCallRequest.__struct_fields__)


@attrs.frozen
class Wanted:
    """`request` holds what was readable; `unread` names the members that were not (their values mean nothing).

    `given_variables` are the names that have a value, valid or not; None where that can't be told. `complaint` is what
    the contract says against the body.
    """

    request: OutboundCallRequest
    given_variables: frozenset[str] | None
    unread: frozenset[str] = frozenset()
    complaint: Refusal | None = None

    def has(self, *members: str) -> bool:
        """Whether all of these can be relied on."""
        return self.unread.isdisjoint(members)


def wanted_of(request: OutboundCallRequest) -> Wanted:
    """Of a valid request."""
    return Wanted(request, frozenset(request.variable_values))


def wanted_despite(complaint: Refusal, raw: bytes) -> Wanted | None:
    """What can be read of the refused body `raw`; None where it is no JSON object (or too large to look at)."""
    if complaint.status != 400:
        return None
    try:
        document = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    unread = {_member(fault.pointer) for fault in complaint.faults} & _MEMBERS
    if "to_number" not in document:
        unread.add("to_number")
    kept = {
        name: value for name, value in document.items() if name in _MEMBERS and name not in unread
    }
    try:
        request = msgspec.convert({"to_number": "", **kept}, OutboundCallRequest)
    except msgspec.ValidationError:
        return None
    variables = document.get("variable_values", {})
    given = frozenset(variables) if isinstance(variables, dict) else None
    return Wanted(request, given, frozenset(unread), complaint)


def _member(pointer: str) -> str:
    """The member of the body that a JSON pointer leads into."""
    return pointer.removeprefix("/").split("/", 1)[0].replace("~1", "/").replace("~0", "~")
