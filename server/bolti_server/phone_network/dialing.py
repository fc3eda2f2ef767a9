"""CreateSIPParticipant: a callee of the simulated network is rung, and stands in the room meanwhile.

The order in which a room sees it is that of LiveKit's SIP service (recorded, November 2026): the participant comes with
`sip.callStatus` dialing and publishes its track at once; ringing; the SIP dialog's ids; active; at the end hangup where it
was answered; and it leaves with the reason that tells why. Who asked and went away changes nothing: the phone rings on.
"""

from __future__ import annotations

import asyncio

import attrs
from livekit.protocol import sip

from bolti_server.base.logging import get_logger
from bolti_server.phone_network.behaviour import Behaviour
from bolti_server.phone_network.callees import Destination, Wishes, destination_of, wishes_of
from bolti_server.phone_network.conversing import (
    CALL_SECONDS,
    RINGING_SECONDS,
    converse,
    dialog_ids,
)
from bolti_server.phone_network.ids import new_id
from bolti_server.phone_network.network import Leg, Network, now
from bolti_server.phone_network.phone_in_room import NoRoom, PhoneInRoom, Seat, seconds_of
from bolti_server.phone_network.records import Dial
from bolti_server.phone_network.sip_answers import (
    GIVEN_UP,
    NO_WORD,
    NOT_ANSWERED,
    OUT_OF_CPU,
    Refused,
    not_resolved,
    refused_with,
)
from bolti_server.phone_network.twirp import TwirpError

REFUSES_AFTER_SECONDS = 0.25  # from the first packet to a final answer, as recorded
COMES_BACK_AFTER_SECONDS = 1.0
LATE_SECONDS = 3.0
SIP_PORT = 5060

log = get_logger("phone_network")


@attrs.frozen(eq=False)
class _Dialed:
    """A leg and what it still has to tell who asked for it."""

    leg: Leg
    dial: Dial
    destination: Destination
    ringing_seconds: float
    max_seconds: float
    joined: asyncio.Future[None]
    answered: asyncio.Future[None]


async def create_participant(
    network: Network, request: sip.CreateSIPParticipantRequest
) -> sip.SIPParticipantInfo:
    """Returns when the callee is dialed, or has answered where the request waits for that. Raises TwirpError."""
    dial = Dial(
        number=request.sip_call_to,
        hostname=_host_of(request),
        room=request.room_name,
        identity=request.participant_identity or f"sip_{request.sip_call_to}",
        at=now(),
        behaviour=network.behaviours.take_for_dial(request.sip_call_to),
    )
    network.dials.append(dial)
    if dial.behaviour is Behaviour.CPU_EXHAUSTED:
        dial.outcome, dial.ended_at = "cpu_exhausted", now()
        raise OUT_OF_CPU
    wishes = wishes_of(request.participant_metadata)
    try:
        destination = destination_of(dial.hostname, dial.number, wishes)
    except ValueError as error:
        dial.outcome, dial.ended_at = "invalid_argument", now()
        raise TwirpError("invalid_argument", str(error)) from None
    dial.sip_call_id = new_id("SCL")
    dialed = _dialed(network, request, dial, destination, wishes)
    network.start(_carry(network, dialed), f"leg_{dial.sip_call_id}")
    await asyncio.shield(dialed.joined)
    answer = sip.SIPParticipantInfo(
        participant_id=dialed.leg.phone.sid,
        participant_identity=dial.identity,
        room_name=dial.room,
        sip_call_id=dial.sip_call_id,
    )
    try:
        if request.wait_until_answered:
            await asyncio.shield(dialed.answered)
    finally:
        await _answer_as_ordered(dial.behaviour)
    return answer


async def _carry(network: Network, dialed: _Dialed) -> None:
    """The leg from its first moment to its last."""
    leg, dial = dialed.leg, dialed.dial
    network.add_leg(leg)
    error = TwirpError("internal", "the phone network broke: its log says where")
    try:
        await leg.phone.join()
        dialed.joined.set_result(None)
        dial.is_dialed = dialed.destination.is_resolved
        refused = await _ring(dialed)
        if refused is not None:
            dial.outcome, dial.sip_status = refused.outcome, refused.sip_status
            error = refused.error
            await leg.phone.leave(refused.leave_reason)
            return
        callee = dialed.destination.callee
        assert callee is not None  # nobody else answers
        await leg.phone.prick_up_ears()
        await leg.phone.tell(dialog_ids())
        await leg.phone.tell({"sip.callStatus": "active"})
        dialed.answered.set_result(None)
        # livekit-sip 1.10 counts it from the request, ringing included.
        rang_seconds = (now() - dial.at).total_seconds()
        await converse(leg, callee.talk, max(0.0, dialed.max_seconds - rang_seconds))
        if dial.outcome == "room_closed" and dial.behaviour is Behaviour.LEG_OUTLIVES_ROOM:
            await _come_back(network, leg)
    except NoRoom as reason:
        dial.outcome = "no_room"
        error = TwirpError("unavailable", f"the media server let nobody in: {reason}")
    except asyncio.CancelledError:
        dial.outcome = dial.outcome or "stopped"
        error = TwirpError("unavailable", "the phone network is stopping")
        raise
    finally:
        for future in (dialed.joined, dialed.answered):
            if not future.done():
                future.set_exception(error)
        await leg.phone.leave("CLIENT_INITIATED")
        network.close(leg)


async def _ring(dialed: _Dialed) -> Refused | None:
    """Until it is answered (None) or is not. A room that is closed meanwhile has given the call up."""
    phone, callee, timeout = dialed.leg.phone, dialed.destination.callee, dialed.ringing_seconds
    if not dialed.destination.is_resolved:
        await phone.is_gone_within(REFUSES_AFTER_SECONDS)  # so that the room has seen it come
        return not_resolved(dialed.dial.hostname.partition(":")[0])
    if callee is None:
        return GIVEN_UP if await phone.is_gone_within(timeout) else NOT_ANSWERED
    refusal = callee.refusal
    if refusal is None or callee.ring_ms != 0:
        dialed.dial.ringing_at = now()
        await phone.tell({"sip.callStatus": "ringing"})
        rings = timeout if callee.ring_ms is None else callee.ring_ms / 1000
        if await phone.is_gone_within(min(rings, timeout)):
            return GIVEN_UP
        if callee.ring_ms is None or rings > timeout:
            return NOT_ANSWERED
    elif await phone.is_gone_within(min(REFUSES_AFTER_SECONDS, timeout)):
        return GIVEN_UP
    if refusal is None:
        return None
    return NO_WORD if refusal.sip_status is None else refused_with(refusal.sip_status)


async def _answer_as_ordered(behaviour: Behaviour | None) -> None:
    """Whatever became of the call, the HTTP answer has a fate of its own."""
    match behaviour:
        case Behaviour.ANSWER_LATE:
            await asyncio.sleep(LATE_SECONDS)
        case Behaviour.SWALLOW:
            await asyncio.get_running_loop().create_future()  # until this process stops
        case Behaviour.ERROR_AFTER_DIALING:
            raise TwirpError("internal", "twirp error unknown: something broke after dialing")
        case _:
            pass


async def _come_back(network: Network, leg: Leg) -> None:
    """A leg that outlives its room: it is in a new room of the same name, until somebody closes that."""
    await asyncio.sleep(COMES_BACK_AFTER_SECONDS)
    again = PhoneInRoom(network.livekit, leg.phone.seat, network.voice)
    try:
        await again.join()
        await again.tell({"sip.callStatus": "active"})
        leg.record.outcome = "came_back"
        await again.gone.wait()
        leg.record.outcome = "closed_again"
    finally:
        await again.leave("CLIENT_INITIATED")


def _dialed(
    network: Network,
    request: sip.CreateSIPParticipantRequest,
    dial: Dial,
    destination: Destination,
    wishes: Wishes,
) -> _Dialed:
    phone = PhoneInRoom(
        network.livekit,
        _seat(request, dial),
        wishes.voice or network.voice,
        sends_sound=dial.behaviour is not Behaviour.NO_AUDIO,
    )
    loop = asyncio.get_running_loop()
    joined: asyncio.Future[None] = loop.create_future()
    answered: asyncio.Future[None] = loop.create_future()
    for future in (joined, answered):
        future.add_done_callback(_look_at)
    return _Dialed(
        leg=Leg(phone, dial),
        dial=dial,
        destination=destination,
        ringing_seconds=seconds_of(request.ringing_timeout, RINGING_SECONDS),
        max_seconds=seconds_of(request.max_call_duration, CALL_SECONDS),
        joined=joined,
        answered=answered,
    )


def _host_of(request: sip.CreateSIPParticipantRequest) -> str:
    """The host to dial, with its port. Raises TwirpError for what livekit-server would not pass on, in its words."""
    if not request.room_name:
        raise TwirpError("invalid_argument", "missing room name")
    if not request.sip_call_to:
        raise TwirpError("invalid_argument", "missing sip callee number")
    if "@" in request.sip_call_to:
        raise TwirpError(
            "invalid_argument",
            "SipCallTo should be a phone number or SIP user, not a full SIP URI",
        )
    if not request.HasField("trunk"):  # we keep no outbound trunks: whoever dials says where to
        raise TwirpError("not_found", "requested sip trunk does not exist")
    host = request.trunk.hostname
    if not host:
        raise TwirpError("invalid_argument", "no outbound hostname specified")
    if "@" in host or host.startswith(("sip:", "sips:")):
        raise TwirpError(
            "invalid_argument", "trunk hostname should be a hostname or IP, not SIP URI"
        )
    if not request.sip_number:
        raise TwirpError("failed_precondition", "twirp error unknown: no numbers on outbound trunk")
    return host if ":" in host else f"{host}:{SIP_PORT}"


def _seat(request: sip.CreateSIPParticipantRequest, dial: Dial) -> Seat:
    attributes = {
        **dict(request.participant_attributes),
        "sip.callStatus": "dialing",
        "sip.callID": dial.sip_call_id,
        "sip.hostname": dial.hostname,
        "sip.trunkPhoneNumber": request.sip_number,
        "sip.phoneNumber": request.sip_call_to,
    }
    if request.hide_phone_number:
        del attributes["sip.phoneNumber"], attributes["sip.trunkPhoneNumber"]
    return Seat(
        room=dial.room,
        identity=dial.identity,
        name=request.participant_name,
        metadata=request.participant_metadata,
        attributes=attributes,
    )


def _look_at(future: asyncio.Future[None]) -> None:
    """Nobody may wait for it (`wait_until_answered` false): its error is not unheard then."""
    if not future.cancelled():
        future.exception()
