"""Who is not to be called by a workspace.

Rule: the same gate on every way to dial: the API, a scheduled call at its instant, a callback, a transfer. Calls that come
in are answered: who calls wants to talk.
"""

from __future__ import annotations

from bolti_server.agents.reading import version_for_call
from bolti_server.base.db import Tx
from bolti_server.base.errors import Fault, Refusal
from bolti_server.base.ids import new_id
from bolti_server.base.logging import get_logger
from bolti_server.calls import do_not_call_queries as queries
from bolti_server.calls.do_not_call_queries import StoredEntry
from bolti_server.calls.opting_out import is_opt_out
from bolti_server.calls.requests import Wanted
from bolti_server.calls.worker_queries import LiveCall

log = get_logger("do_not_call")


async def refusal(tx: Tx, workspace_id: str, phone_number: str) -> Refusal | None:
    """403 do_not_call where the number is on the workspace's list."""
    entry = await queries.find_entry(tx, workspace_id, phone_number)
    if entry is None:
        return None
    how = (
        "asked not to be called"
        if entry.source in ("voice", "key")
        else "is on the do-not-call list"
    )
    detail = f"{phone_number} {how}, since {entry.created_at:%Y-%m-%d}."
    return Refusal(403, "do_not_call", detail, faults=[Fault("do_not_call", detail, "/to_number")])


async def refusals(tx: Tx, workspace_id: str, wanted: Wanted) -> list[Refusal]:
    """As `refusal`, of a request as far as it can be read."""
    if not wanted.has("to_number"):
        return []
    found = await refusal(tx, workspace_id, wanted.request.to_number)
    return [] if found is None else [found]


async def listen(tx: Tx, call: LiveCall, role: str, text: str, keys: str | None) -> None:
    """Puts the other side of this call on the list, where it says so in these words, or with the agent's key for it. Safe
    to repeat."""
    number = callee_of(call)
    if role != "user" or number is None:
        return
    source = "voice" if is_opt_out(text) else "key" if await _is_key(tx, call, keys) else None
    if source is not None and await queries.insert_entry(
        tx, call.workspace_id, new_id("dnc"), number, source=source, conversation_id=call.id
    ):
        log.info("opted_out", conversation_id=call.id, pii_number=number, source=source)


async def _is_key(tx: Tx, call: LiveCall, keys: str | None) -> bool:
    if not keys:
        return False
    agent = await version_for_call(tx, call.workspace_id, call.agent_id, call.agent_version)
    key = None if agent is None else agent.configuration.opt_out_key
    return key is not None and key in keys


async def add(tx: Tx, workspace_id: str, phone_number: str) -> StoredEntry:
    """The entry of this number, made now or before."""
    await queries.insert_entry(
        tx, workspace_id, new_id("dnc"), phone_number, source="api", conversation_id=None
    )
    entry = await queries.find_entry(tx, workspace_id, phone_number)
    assert entry is not None, "written a line above, or there before"
    return entry


def callee_of(call: LiveCall) -> str | None:
    """The number of whoever the agent talks with."""
    return call.from_number if call.direction == "inbound" else call.to_number
