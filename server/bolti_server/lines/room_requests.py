"""What the SIP service is asked for when somebody is dialed into a room. Pure.

Rule: nobody rings for longer than MAX_RING_SECONDS, and no leg outlives the time that the call has.
"""

from __future__ import annotations

import json
import math

from google.protobuf.duration_pb2 import Duration
from livekit import api

from bolti_server.lines.line import GuestDial
from bolti_server.rooms.media import CALLEE_IDENTITY, CODEC_RATE, GUEST_IDENTITY
from bolti_server.worker_api.messages import CallSpec, SipTrunk

MAX_RING_SECONDS = 75  # of a request to the SIP service; more is not served (livekit.md)
TRANSFER_RING_SECONDS = 25  # whoever is to take a call over: the callee waits meanwhile
_TRANSPORTS = {
    "udp": api.SIPTransport.SIP_TRANSPORT_UDP,
    "tcp": api.SIPTransport.SIP_TRANSPORT_TCP,
    "tls": api.SIPTransport.SIP_TRANSPORT_TLS,
}


def callee_request(
    room: str, spec: CallSpec, trunk: SipTrunk | None
) -> api.CreateSIPParticipantRequest:
    """The dial that begins a call."""
    line = spec.line
    return _request(
        room,
        trunk,
        identity=CALLEE_IDENTITY,
        from_number=line.from_number or "",
        to_number=line.to_number or "",
        ring_seconds=min(spec.ring_timeout_seconds, MAX_RING_SECONDS),
        call_seconds=spec.max_duration_seconds,
        metadata=_metadata(spec, scenario=line.scenario, script=line.script),
    )


def guest_request(
    room: str, spec: CallSpec, dial: GuestDial, *, call_seconds: float
) -> api.CreateSIPParticipantRequest:
    """Somebody else into a call that has `call_seconds` left."""
    return _request(
        room,
        dial.trunk,
        identity=GUEST_IDENTITY,
        from_number=dial.from_number,
        to_number=dial.to_number,
        ring_seconds=TRANSFER_RING_SECONDS,
        call_seconds=math.ceil(call_seconds),
        metadata=_metadata(spec),
    )


def _request(
    room: str,
    trunk: SipTrunk | None,
    *,
    identity: str,
    from_number: str,
    to_number: str,
    ring_seconds: int,
    call_seconds: int,
    metadata: str = "",
) -> api.CreateSIPParticipantRequest:
    """`max_call_duration` ends the call when every process of ours is dead. livekit-sip counts it from the request on, the
    ringing included (client.go of 1.10), so the ringing's limit is added: else an answer after 30 s would lose 30 s.
    """
    request = api.CreateSIPParticipantRequest(
        room_name=room,
        sip_call_to=to_number,
        sip_number=from_number,
        participant_identity=identity,
        participant_metadata=metadata,
        wait_until_answered=True,
        krisp_enabled=False,
        ringing_timeout=Duration(seconds=ring_seconds),
        max_call_duration=Duration(seconds=call_seconds + ring_seconds),
    )
    if trunk is not None:
        request.trunk.CopyFrom(
            api.SIPOutboundConfig(
                hostname=trunk.host,
                transport=_TRANSPORTS[trunk.transport],
                auth_username=trunk.username or "",
                auth_password=trunk.password or "",
            )
        )
        for codec in trunk.codecs:
            request.media.only_listed_codecs = True
            request.media.codecs.add(name=codec, rate=CODEC_RATE)
    return request


def _metadata(spec: CallSpec, *, scenario: str | None = None, script: str | None = None) -> str:
    """For the phone network's stand-in: who picks up (neither: the number tells), and whether words travel in the sound."""
    if not spec.line.is_simulated:
        return ""
    voice = "modem" if spec.stt.provider == "simulated" else "speech"
    return json.dumps({"voice": voice, "scenario": scenario, "script": script})
