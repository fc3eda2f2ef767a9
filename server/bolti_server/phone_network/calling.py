"""Somebody of the simulated network calls one of our numbers, as LiveKit's SIP service brings a call in.

The trunk is found by the number, the room is named by the dispatch rule, and joining makes the room with what the rule
says (agents and all), so the media server's `room.auto_create` must be on. It rings until somebody subscribes to the
caller's track: that answers it. A room that is closed before that, or the end of the trunk's ringing timeout, is a 486
for the caller.
"""

from __future__ import annotations

import asyncio
from typing import Literal

import msgspec

from bolti_server.phone_network.callees import callee_for
from bolti_server.phone_network.conversing import (
    CALL_SECONDS,
    RINGING_SECONDS,
    converse,
    dialog_ids,
)
from bolti_server.phone_network.ids import new_id
from bolti_server.phone_network.network import Leg, Network, now
from bolti_server.phone_network.phone_in_room import NoRoom, PhoneInRoom, Seat, seconds_of
from bolti_server.phone_network.records import IncomingCall
from bolti_server.phone_network.trunks import Way
from bolti_server.simulated.callees import Callee
from bolti_server.simulated.conversation import small_talk

OK, NOT_FOUND, BUSY, CANCELLED, UNAVAILABLE = 200, 404, 486, 487, 503
SIP_HOST = "phone-network.test"


class CallRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`scenario` or `script` is the caller's side of the talk; none: it makes small talk. `until`: when the answer comes.
    `gives_up_after_seconds`: the caller hangs up where nobody has answered by then."""

    from_number: str
    to_number: str
    scenario: str | None = None
    script: str | None = None
    voice: Literal["modem", "speech"] | None = None
    until: Literal["ringing", "answered", "ended"] = "answered"
    gives_up_after_seconds: float | None = None


async def call_in(network: Network, request: CallRequest) -> IncomingCall:
    """Returns when the call has come as far as `until` says, or is over. Raises ValueError for a scenario or a script that
    there is not."""
    callee = callee_for("", request.scenario, request.script)
    if request.scenario is None and request.script is None:
        callee = Callee(small_talk)
    call = IncomingCall(
        room="",
        identity=f"sip_{request.from_number}",
        at=now(),
        sip_call_id=new_id("SCL"),
        from_number=request.from_number,
        to_number=request.to_number,
    )
    network.calls.append(call)
    way = network.trunks.way_in(request.from_number, request.to_number)
    if way is None:
        call.outcome, call.sip_status, call.ended_at = "no_way_in", NOT_FOUND, now()
        return call
    call.room = way.room
    call.trunk_id, call.rule_id = way.trunk.sip_trunk_id, way.rule.sip_dispatch_rule_id
    leg = Leg(PhoneInRoom(network.livekit, _seat(way, call), request.voice or network.voice), call)
    rings, is_answered = asyncio.Event(), asyncio.Event()
    carrying = network.start(
        _carry(network, leg, way, callee, request.gives_up_after_seconds, rings, is_answered),
        f"leg_{call.sip_call_id}",
    )
    waits: list[asyncio.Future[object]] = [carrying]
    if request.until != "ended":
        event = rings if request.until == "ringing" else is_answered
        waits.append(asyncio.ensure_future(event.wait()))
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits[1:]:
            each.cancel()
    return call


async def _carry(
    network: Network,
    leg: Leg,
    way: Way,
    caller: Callee,
    patience_seconds: float | None,
    rings: asyncio.Event,
    is_answered: asyncio.Event,
) -> None:
    phone, call = leg.phone, leg.record
    network.add_leg(leg)
    try:
        await phone.join()
        rings.set()
        timeout = seconds_of(way.trunk.ringing_timeout, RINGING_SECONDS)
        gives_up = patience_seconds is not None and patience_seconds < timeout
        waits = patience_seconds if patience_seconds is not None and gives_up else timeout
        if not await phone.is_picked_up_within(waits):
            is_cancelled = gives_up and not phone.gone.is_set()
            call.sip_status = CANCELLED if is_cancelled else BUSY
            call.outcome = "caller_gave_up" if is_cancelled else "not_answered"
            if phone.gone.is_set():
                call.outcome = "refused"
            await phone.leave("CLIENT_INITIATED")
            return
        call.sip_status = OK
        await phone.prick_up_ears()
        await phone.tell({"sip.callStatus": "active"})
        is_answered.set()
        await converse(leg, caller.talk, seconds_of(way.trunk.max_call_duration, CALL_SECONDS))
    except NoRoom:
        call.outcome, call.sip_status = "no_room", BUSY
    except asyncio.CancelledError:
        call.outcome = call.outcome or "stopped"
        call.sip_status = call.sip_status or UNAVAILABLE
        raise
    finally:
        await phone.leave("CLIENT_INITIATED")
        network.close(leg)


def _seat(way: Way, call: IncomingCall) -> Seat:
    attributes = {
        **dict(way.rule.attributes),
        **dialog_ids(),
        "sip.callStatus": "ringing",
        "sip.callID": call.sip_call_id,
        "sip.hostname": SIP_HOST,
        "sip.trunkID": call.trunk_id,
        "sip.ruleID": call.rule_id,
        "sip.phoneNumber": call.from_number,
        "sip.trunkPhoneNumber": call.to_number,
    }
    if way.rule.hide_phone_number:
        del attributes["sip.phoneNumber"]
    return Seat(
        room=way.room,
        identity=call.identity,
        name=f"Phone {call.from_number}",
        metadata=way.rule.metadata,
        attributes=attributes,
        room_config=way.rule.room_config if way.rule.HasField("room_config") else None,
        room_preset=way.rule.room_preset,
    )
