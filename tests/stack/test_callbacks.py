"""What LiveKit tells by itself are hints: late, repeated, forged and missing ones change nothing."""

from __future__ import annotations

import base64
import hashlib
import json

import httpx2
from livekit import api
from tests.stack.support.calls import PATIENT, Caller, end_of, rule
from tests.stack.support.stack import Stack

EVENTS = ("participant_left", "room_finished", "participant_connection_aborted", "room_started")


async def tell(stack: Stack, event: str, room: str, *, secret: str | None = None) -> int:
    """A callback as LiveKit signs it (or somebody else, with another secret); the server's answer."""
    told = {
        "event": event,
        "id": "EV_told",
        "createdAt": "1790000000",
        "room": {"name": room, "sid": "RM_told"},
        "participant": {"identity": "callee", "sid": "PA_told", "kind": "SIP"},
    }
    body = json.dumps(told).encode()
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    token = api.AccessToken(stack.livekit.key, secret or stack.livekit.secret).with_sha256(digest)
    async with httpx2.AsyncClient(timeout=10) as client:
        answer = await client.post(
            f"{stack.server_url}/callbacks/livekit",
            content=body,
            headers={"Authorization": token.to_jwt(), "Content-Type": "application/webhook+json"},
        )
    return answer.status_code


async def test_callbacks_that_are_wrong_repeated_or_forged_leave_a_call_alone(
    stack: Stack, caller: Caller
) -> None:
    agent = await caller.agent(rule("go on", "One moment."))
    placed = await caller.place(agent, script=PATIENT)
    await caller.has_turns(placed)
    for event in EVENTS * 2:
        assert await tell(stack, event, placed) == 204
        assert await tell(stack, event, placed, secret="x" * 40) == 401
        assert await tell(stack, event, "conv_00000000000000000000000000") == 204
    before = len((await caller.bolti.conversations.get(placed)).transcript)
    await caller.has_turns(placed, before + 1)
    await caller.bolti.conversations.end(placed)
    ended = await caller.ended(placed)
    assert end_of(ended) == ("completed", "ended_by_user")
    for event in EVENTS:
        assert await tell(stack, event, placed) == 204
    after = await caller.bolti.conversations.get(placed)
    assert (after.status, after.ended_at) == (ended.status, ended.ended_at)


async def test_calls_end_as_they_should_without_any_callback(stack: Stack, caller: Caller) -> None:
    stack.callback_gate.drops_everything = True
    try:
        agent = await caller.agent(rule("goodbye", "Goodbye!", "cut_call"))
        talks = await caller.place(agent, scenario="answers")
        leaves = await caller.place(agent, scenario="hangs_up")
        refuses = await caller.place(agent, scenario="declined")
        calls = await caller.all_ended([talks, leaves, refuses])
    finally:
        stack.callback_gate.drops_everything = False
    assert list(map(end_of, calls)) == [
        ("completed", "agent_hangup"),
        ("completed", "remote_hangup"),
        ("rejected", "declined"),
    ]
