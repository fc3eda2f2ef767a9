"""Telling the media server which trunks may call in, and with which numbers.

Rules: the rows decide, the media server is told; what it has is told again every REASSERT_SECONDS and when a server starts,
because it may have forgotten (or an operator may have deleted it). Telling is safe to repeat. What comes of it stands on the
trunk's record in words. The network is asked outside of any transaction; a lease keeps two servers from the same trunk.
"""

from __future__ import annotations

import attrs
import msgspec

from bolti_server.base.crypto import Undecryptable
from bolti_server.base.logging import get_logger
from bolti_server.numbers import sync_queries, trunk_queries, trunk_records
from bolti_server.numbers.sync_queries import DueTrunk
from bolti_server.numbers.trunk_queries import StoredTrunk
from bolti_server.rooms.media import (
    InboundTrunk,
    MediaRefused,
    MediaServer,
    MediaTrunk,
    MediaUnreachable,
)
from bolti_server.worker_api.messages import JobMetadata
from bolti_server.world import World

REASSERT_SECONDS = 120
MOST_NUMBERS = 1000  # on a trunk
LEASE_SECONDS = 60
FIRST_RETRY_SECONDS = 5
LONGEST_RETRY_SECONDS = 300
SIMULATED_ADDRESSES = ("127.0.0.0/8",)  # from where the phone network of `bolti-server` calls
_BATCH = 10

NO_MEDIA_DETAIL = (
    "This server has no media server, so nobody can call. Its operator sets LIVEKIT_URL, LIVEKIT_API_KEY and "
    "LIVEKIT_API_SECRET."
)
_SILENT_DETAIL = "The media server does not answer. It is asked again by itself."
# LiveKit 1.13 looks at the number alone here, whatever the addresses (measured).
_CONFLICT_DETAIL = (
    "Another trunk of this media server takes calls to one of these numbers already, and only one can. Remove the number "
    "there, or from this trunk."
)
_UNREADABLE_DETAIL = (
    "Its password can't be read any more (was BOLTI_SECRET_KEY changed?). Give it again."
)

log = get_logger("trunks")


@attrs.frozen
class _Outcome:
    """What came of telling: `media` is what is there now; `is_known` false leaves what was known before."""

    status: str
    detail: str | None = None
    media: MediaTrunk | None = None
    is_known: bool = False

    @property
    def is_done(self) -> bool:
        return self.status != "failed"


async def tell_all_again(world: World) -> None:
    async with world.db.transaction() as tx:
        await sync_queries.tell_all_again_of_any_workspace(tx)


async def sync_due(world: World) -> int:
    """Tells of what is due, at most a batch; how many that were."""
    async with world.db.transaction() as tx:
        due = await sync_queries.lease_due_of_any_workspace(
            tx, limit=_BATCH, lease_seconds=LEASE_SECONDS
        )
    for each in due:
        outcome = await _tell(world, each)
        await _write(world, each, outcome)
    return len(due)


async def _tell(world: World, due: DueTrunk) -> _Outcome:
    trunk, known = due.trunk, _known(due)
    is_wanted = due.is_wanted and not (
        trunk.is_simulated and world.settings.livekit_sip_url is None
    )
    if not is_wanted and known is None:
        return _Outcome("none")
    if world.media is None:
        return _Outcome("failed", NO_MEDIA_DETAIL) if is_wanted else _Outcome("none")
    try:
        if not is_wanted:
            assert known is not None, "the unknown was left alone above"
            await world.media.remove_inbound_trunk(known)
            return _Outcome("none", is_known=True)
        made = await _set(world, world.media, trunk, known)
        return _Outcome("ready", media=made, is_known=True)
    except MediaUnreachable:
        return _Outcome("failed", _SILENT_DETAIL)
    except MediaRefused as refused:
        log.warning("trunk_refused", trunk_id=trunk.id, code=refused.code, detail=refused.detail)
        return _Outcome("failed", _words(refused))
    except Undecryptable:
        return _Outcome("failed", _UNREADABLE_DETAIL)


async def _set(
    world: World, media: MediaServer, trunk: StoredTrunk, known: MediaTrunk | None
) -> MediaTrunk:
    async with world.db.transaction(is_readonly=True) as tx:
        numbers = await trunk_queries.phone_numbers(
            tx, trunk.workspace_id, trunk.id, limit=MOST_NUMBERS
        )
    wanted = InboundTrunk(
        trunk_id=trunk.id,
        numbers=numbers,
        allowed_addresses=SIMULATED_ADDRESSES if trunk.is_simulated else trunk.allowed_addresses,
        username=trunk.inbound_username,
        password=trunk_records.unsealed(
            world.vault, trunk, "inbound_password", trunk.inbound_password_sealed
        ),
        codecs=trunk.codecs,
        metadata=msgspec.json.encode(JobMetadata(trunk_id=trunk.id)).decode(),
    )
    return await media.set_inbound_trunk(wanted, known)


async def _write(world: World, due: DueTrunk, outcome: _Outcome) -> None:
    trunk = due.trunk
    async with world.db.transaction() as tx:
        if outcome.is_known:
            media = outcome.media
            await sync_queries.remember_media(
                tx,
                trunk.workspace_id,
                trunk.id,
                media_trunk_id=None if media is None else media.media_trunk_id,
                media_rule_id=None if media is None else media.media_rule_id,
            )
        await sync_queries.finish_sync(
            tx,
            trunk.workspace_id,
            trunk.id,
            leased_until=due.leased_until,
            status=outcome.status,
            detail=outcome.detail,
            again_in_seconds=_again_in(due, outcome),
            is_done=outcome.is_done,
        )


def _again_in(due: DueTrunk, outcome: _Outcome) -> int | None:
    """Seconds; None: only when it is changed."""
    if outcome.status == "none":
        return None
    if outcome.is_done:
        return REASSERT_SECONDS
    doublings = max(0, min(due.attempts - 1, 10))
    return min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS << doublings)


def _known(due: DueTrunk) -> MediaTrunk | None:
    if due.media_trunk_id is None or due.media_rule_id is None:
        return None
    return MediaTrunk(due.media_trunk_id, due.media_rule_id)


def _words(refused: MediaRefused) -> str:
    """For the trunk's record. A conflict is told without the other trunk's name, which may be another workspace's."""
    if "onflicting" in refused.detail:
        return _CONFLICT_DETAIL
    return f"The media server refuses it ({refused.code}): {refused.detail[:300]}"
