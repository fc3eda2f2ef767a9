"""Handing queued conversations to workers: a long poll, one lease per answer.

Rules: a claim is a lease with a new epoch, in one statement (SKIP LOCKED), so any number of workers and servers share the
queue and none gets a call twice. An answer that gets lost strands nothing: the worker never becomes ready, after
SECOND_DISPATCH_SECONDS the call is free again, with an epoch that fences the first; AGENT_READY_SECONDS after the first
dispatch it ends as `agent_unavailable` (its deadline).
"""

from __future__ import annotations

import asyncio

from bolti_server.base.db import encode_json
from bolti_server.calls import leases, long_polls, spec
from bolti_server.calls import worker_queries as queries
from bolti_server.calls.lifecycle import AGENT_READY_SECONDS, SECOND_DISPATCH_SECONDS
from bolti_server.worker_api.messages import (
    CLAIM_WAIT_SECONDS,
    ClaimAnswer,
    Claimed,
    ClaimRequest,
)
from bolti_server.world import World

MOST_DISPATCHES = 3  # a call that killed so many agents gets no other
MOST_CLAIMS = 100  # in one answer
_LOOK_SECONDS = 0.5


async def claim(
    world: World,
    request: ClaimRequest,
    *,
    gone: asyncio.Event,
    wait_seconds: float = CLAIM_WAIT_SECONDS,
) -> ClaimAnswer:
    """At most `request.capacity` conversations for this worker, and `text_capacity` on text lines with all that they need;
    none where `wait_seconds` bring none."""
    async with world.db.transaction() as tx:
        await queries.register_worker_of_any_workspace(
            tx,
            request.worker_id,
            name=request.name,
            capacity=request.capacity,
            rooms=None if request.rooms is None else encode_json(request.rooms),
        )

    async def look() -> list[Claimed] | None:
        return await _take(world, request) or None

    found = await long_polls.until_found(
        world,
        "claimable",
        look,
        wait_seconds=wait_seconds if request.capacity + request.text_capacity > 0 else 0,
        look_seconds=_LOOK_SECONDS,
        gone=gone,
    )
    return ClaimAnswer(claimed=found or [])


async def _take(world: World, request: ClaimRequest) -> list[Claimed]:
    taken: list[Claimed] = []
    async with world.db.transaction() as tx:
        for line, capacity in (("audio", request.capacity), ("text", request.text_capacity)):
            if capacity <= 0:
                continue
            leased = await queries.claim_of_any_workspace(
                tx,
                request.worker_id,
                lines=[line],
                limit=min(capacity, MOST_CLAIMS),
                most_dispatches=MOST_DISPATCHES,
                second_dispatch_seconds=SECOND_DISPATCH_SECONDS,
                ready_seconds=AGENT_READY_SECONDS,
            )
            ids = [lease.conversation_id for lease in leased]
            specs = await spec.specs_of_claimed(tx, ids) if line == "text" else {}
            taken += [
                Claimed(
                    conversation_id=lease.conversation_id,
                    epoch=lease.epoch,
                    token=leases.mint(world.vault, lease.conversation_id, lease.epoch),
                    spec=specs.get(lease.conversation_id),
                )
                for lease in leased
            ]
    return taken
