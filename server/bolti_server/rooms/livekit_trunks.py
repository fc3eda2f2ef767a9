"""Inbound trunks at LiveKit's SIP service: one trunk, and one rule that puts each of its calls into a room of its own with
an agent.

Rules: both bear our trunk's id as their name, and that is how they are found again where their ids were lost; repeating is
safe. A trunk that asks for neither address nor digest is never made: an empty list of addresses accepts anyone (livekit.md).
"""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from livekit import api
from livekit.api.sip_service import SipService

from bolti_server.rooms.media import (
    AGENT_NAME,
    CODEC_RATE,
    DEPARTURE_SECONDS,
    EMPTY_SECONDS,
    INBOUND_RINGING_SECONDS,
    INBOUND_ROOM_PREFIX,
    InboundTrunk,
    MediaTrunk,
)


async def set_inbound_trunk(
    sip: SipService, trunk: InboundTrunk, known: MediaTrunk | None
) -> MediaTrunk:
    """Makes both, or replaces what is there. Raises what livekit.api raises."""
    assert trunk.allowed_addresses or (trunk.username and trunk.password), (
        f"{trunk.trunk_id} would take calls from anyone"
    )
    media_trunk_id = await _set_trunk(sip, trunk, None if known is None else known.media_trunk_id)
    known_rule_id = None if known is None else known.media_rule_id
    return MediaTrunk(media_trunk_id, await _set_rule(sip, trunk, media_trunk_id, known_rule_id))


async def remove_inbound_trunk(sip: SipService, known: MediaTrunk) -> None:
    """Takes both away, the rule first: without it nobody is put into a room any more."""
    try:
        await sip.delete_dispatch_rule(
            api.DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=known.media_rule_id)
        )
    except api.TwirpError as error:
        _raise_unless_missing(error)
    try:
        await sip.delete_trunk(api.DeleteSIPTrunkRequest(sip_trunk_id=known.media_trunk_id))
    except api.TwirpError as error:
        _raise_unless_missing(error)


async def _set_trunk(sip: SipService, trunk: InboundTrunk, known_id: str | None) -> str:
    wanted = _trunk_info(trunk)
    if known_id is not None:
        try:
            return (await sip.update_inbound_trunk(known_id, wanted)).sip_trunk_id
        except api.TwirpError as error:
            _raise_unless_missing(error)
    listed = await sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest())
    for each in listed.items:
        if each.name == trunk.trunk_id:
            return (await sip.update_inbound_trunk(each.sip_trunk_id, wanted)).sip_trunk_id
    made = await sip.create_inbound_trunk(api.CreateSIPInboundTrunkRequest(trunk=wanted))
    return made.sip_trunk_id


async def _set_rule(
    sip: SipService, trunk: InboundTrunk, media_trunk_id: str, known_id: str | None
) -> str:
    wanted = _rule_info(trunk, media_trunk_id)
    if known_id is not None:
        try:
            return (await sip.update_dispatch_rule(known_id, wanted)).sip_dispatch_rule_id
        except api.TwirpError as error:
            _raise_unless_missing(error)
    listed = await sip.list_dispatch_rule(api.ListSIPDispatchRuleRequest())
    for each in listed.items:
        if each.name == trunk.trunk_id or list(each.trunk_ids) == [media_trunk_id]:
            updated = await sip.update_dispatch_rule(each.sip_dispatch_rule_id, wanted)
            return updated.sip_dispatch_rule_id
    made = await sip.create_dispatch_rule(api.CreateSIPDispatchRuleRequest(dispatch_rule=wanted))
    return made.sip_dispatch_rule_id


def _trunk_info(trunk: InboundTrunk) -> api.SIPInboundTrunkInfo:
    info = api.SIPInboundTrunkInfo(
        name=trunk.trunk_id,
        metadata=trunk.trunk_id,
        numbers=list(trunk.numbers),
        allowed_addresses=list(trunk.allowed_addresses),
        auth_username=trunk.username or "",
        auth_password=trunk.password or "",
        ringing_timeout=Duration(seconds=INBOUND_RINGING_SECONDS),
    )
    if trunk.codecs:
        info.media.only_listed_codecs = True
        for name in trunk.codecs:
            info.media.codecs.add(name=name, rate=CODEC_RATE)
    return info


def _rule_info(trunk: InboundTrunk, media_trunk_id: str) -> api.SIPDispatchRuleInfo:
    return api.SIPDispatchRuleInfo(
        name=trunk.trunk_id,
        metadata=trunk.trunk_id,
        trunk_ids=[media_trunk_id],
        rule=api.SIPDispatchRule(
            dispatch_rule_individual=api.SIPDispatchRuleIndividual(room_prefix=INBOUND_ROOM_PREFIX)
        ),
        room_config=api.RoomConfiguration(
            empty_timeout=EMPTY_SECONDS,
            departure_timeout=DEPARTURE_SECONDS,
            agents=[api.RoomAgentDispatch(agent_name=AGENT_NAME, metadata=trunk.metadata)],
        ),
    )


def _raise_unless_missing(error: api.TwirpError) -> None:
    if error.code != api.TwirpErrorCode.NOT_FOUND:
        raise error
