"""A user ends a call.

Rules: before the dial it is over at once (`cancelled_by_user`); later the line lives with the worker, which gets a
numbered command and reports the end; if it does not within its time, the deadline ends the call all the same, with the
code that the user's wish means. Ending a call that is over changes nothing; asking twice changes nothing, but that
hanging up at once beats a last sentence.
"""

from __future__ import annotations

from datetime import timedelta

from bolti_server.base.db import Tx
from bolti_server.calls import moves
from bolti_server.calls import worker_queries as queries
from bolti_server.calls.lifecycle import Fact, HangupCode, Status
from bolti_server.calls.moves import END_SECONDS, Ending
from bolti_server.calls.worker_queries import LiveCall
from bolti_server.world import World

_FIRST_WORD_SECONDS = 10  # until a voice has begun a last sentence that a model has to make
_CHARACTERS_PER_SECOND = 10  # of slow speech


async def request_end(
    tx: Tx, world: World, workspace_id: str, conversation_id: str, *, text: str | None
) -> None:
    """Ends the conversation, or makes its worker end it; `text` is said before. The conversation must exist."""
    call = await queries.lock_call(tx, workspace_id, conversation_id)
    assert call is not None, f"no conversation {conversation_id} in {workspace_id}"
    if call.is_over:
        return
    if call.status in (Status.SCHEDULED, Status.QUEUED):
        await moves.move(tx, world, call, Fact.ENDED, ending=Ending(HangupCode.CANCELLED_BY_USER))
        return
    # Nobody can be told anything before the answer.
    said = text if call.status is Status.IN_PROGRESS else None
    known = await queries.list_commands(tx, workspace_id, conversation_id, after=0)
    kinds = {command.type for command in known}
    if "end" in kinds or (said is not None and "say_then_end" in kinds):
        return
    await _command(tx, call, said)


async def _command(tx: Tx, call: LiveCall, text: str | None) -> None:
    code = (
        HangupCode.ENDED_BY_USER
        if call.status is Status.IN_PROGRESS
        else HangupCode.CANCELLED_BY_USER
    )
    number = call.last_command + 1
    await queries.insert_command(
        tx,
        call.workspace_id,
        call.id,
        number=number,
        kind="end" if text is None else "say_then_end",
        body={"text": text, "code": code},
    )
    seconds = END_SECONDS
    if text is not None:
        seconds += _FIRST_WORD_SECONDS + len(text) // _CHARACTERS_PER_SECOND
    assert call.deadline_at is not None, "a living call has a deadline"
    deadline_at = min(call.deadline_at, call.now + timedelta(seconds=seconds))
    changes = {"last_command": number, "deadline_at": deadline_at}
    await queries.change_call(tx, call.workspace_id, call.id, changes)
    tx.wake(f"commands:{call.id}")
