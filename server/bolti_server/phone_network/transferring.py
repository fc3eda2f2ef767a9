"""TransferSIPParticipant: a callee is handed over to another number of the simulated network (a REFER, on a real line).

As recorded on livekit-sip 1.10.0 in November 2026, where the provider accepts the REFER and tells later. The other takes the
call: an empty answer, and the participant leaves a second later. The other refuses: its SIP status. Nobody says what became
of it: `deadline_exceeded` when the ringing timeout is over, and the call goes on.
"""

from __future__ import annotations

import re

from livekit.protocol import sip

from bolti_server.phone_network.behaviour import Behaviour
from bolti_server.phone_network.network import Network
from bolti_server.phone_network.phone_in_room import seconds_of
from bolti_server.phone_network.sip_answers import error_of
from bolti_server.phone_network.twirp import TwirpError
from bolti_server.simulated.transfers import transfer_to

RINGING_SECONDS = 30.0
_DECLINE = 603
_TARGET = re.compile(r"(?:tel:|sips?:)?(?P<number>\+?[0-9]+)(?:@.*)?", re.IGNORECASE)


async def transfer_participant(
    network: Network, request: sip.TransferSIPParticipantRequest
) -> sip.TransferSIPParticipantResponse:
    """Returns when the other has taken the call. Raises TwirpError."""
    if not request.room_name:
        raise TwirpError("invalid_argument", "twirp error unknown: Missing room name")
    if not request.participant_identity:
        raise TwirpError("invalid_argument", "twirp error unknown: Missing participant identity")
    target = _TARGET.fullmatch(request.transfer_to)
    if target is None:
        raise TwirpError("invalid_argument", "transfer_to is neither tel: nor sip: with a number")
    leg = network.leg_of(request.room_name, request.participant_identity)
    if leg is None:
        raise TwirpError("not_found", "participant does not exist")
    number = target["number"]
    timeout = seconds_of(request.ringing_timeout, RINGING_SECONDS)
    behaviour = network.behaviours.take_for_transfer(number)
    if behaviour is Behaviour.TRANSFER_REFUSED:
        raise error_of(_DECLINE, "")
    transfer = transfer_to(number)
    rings = transfer.ring_ms / 1000
    status = transfer.failure.sip_status if transfer.failure is not None else None
    is_answered = transfer.failure is None or status is not None
    is_told = is_answered and rings < timeout and behaviour is None
    if await leg.phone.is_gone_within(rings if is_told else timeout):
        raise TwirpError("not_found", "the participant has left the room")
    if not is_told:
        raise TwirpError("deadline_exceeded", "twirp error unknown: request timed out")
    if status is not None:
        raise error_of(status, "call transfer failed: ")
    leg.record.transferred_to = number
    leg.phone.put_through()
    return sip.TransferSIPParticipantResponse()
