"""The SIP service behind LiveKit, and the Redis over which the two speak.

Measured on livekit-server 1.13.5 (November 2026): without Redis it answers SIP requests "sip not connected (redis
required)"; with Redis and no SIP service "no response from servers", 1 s after; livekit-sip 1.10.0 refuses a host that does
not resolve at once and sends nothing ("fail to resolve target"). So the probe is a call to a host under `.invalid`
(RFC 2606: never in the DNS): whoever refuses it so is a SIP service, and nobody's telephone rings.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

import httpx2

from bolti_server.entrypoints.doctor.findings import Finding, not_checked, ok, problem
from bolti_server.entrypoints.doctor.twirp import Access, Told, call

NOWHERE = "doctor.bolti.invalid"
STAND_IN = "Bolti's phone network"  # as `bolti-server phone-network` begins to say at GET /
_LOOK = {"admin": True}


async def look_at_sip(
    http: httpx2.AsyncClient, livekit: Access, sip_url: str | None
) -> Sequence[Finding]:
    """`sip_url` None: SIP requests go to LiveKit itself."""
    sip = livekit if sip_url is None else Access(sip_url, livekit.key, livekit.secret)
    try:
        is_stand_in = sip_url is not None and await _is_stand_in(http, sip)
        redis = await _redis(http, livekit, is_needed=not is_stand_in)
    except httpx2.HTTPError as error:
        reason = str(error) or type(error).__name__
        detail = f"does not answer at {sip.url}: {reason}."
        advice = "Correct BOLTI_LIVEKIT_SIP_URL, or leave it out: then it is LIVEKIT_URL."
        first = (
            not_checked("sip service", "LiveKit does not answer.")
            if sip_url is None
            else problem("sip service", detail, advice)
        )
        return [first, not_checked("redis", "nobody answered who could tell.")]
    try:
        return [await _service(http, sip, livekit, is_stand_in=is_stand_in), redis]
    except httpx2.HTTPError as error:
        detail = f"stopped answering: {str(error) or type(error).__name__}."
        return [
            problem("sip service", detail, "See the logs of livekit-server and livekit-sip."),
            redis,
        ]


async def _is_stand_in(http: httpx2.AsyncClient, sip: Access) -> bool:
    answer = await http.get(f"{sip.http_url}/")
    return STAND_IN in answer.text


async def _redis(http: httpx2.AsyncClient, livekit: Access, *, is_needed: bool) -> Finding:
    told = await call(http, livekit, "SIP/ListSIPInboundTrunk", {}, sip=_LOOK)
    if told.status in (401, 403):
        return not_checked("redis", "LiveKit refuses key and secret.")
    if told.code is None and told.is_twirp:
        return ok("redis", "LiveKit is connected to it.")
    if "redis required" in (told.message or ""):
        if not is_needed:
            return ok("redis", "LiveKit has none, which the stand-in does not need; real SIP does.")
        detail = "LiveKit has none, so it carries no telephone calls (SIP)."
        return problem("redis", detail, "Add `redis: {address: …}` to livekit.yaml and sip.yaml.")
    return not_checked("redis", f"LiveKit does not say: {told.message or told.code}.")


async def _service(
    http: httpx2.AsyncClient, sip: Access, livekit: Access, *, is_stand_in: bool
) -> Finding:
    room = f"doctor-{uuid4().hex}"
    told = await call(
        http,
        sip,
        "SIP/CreateSIPParticipant",
        {
            "room_name": room,
            "participant_identity": "doctor",
            "trunk": {"hostname": NOWHERE},
            "sip_number": "+12025550199",
            "sip_call_to": "+12025550100",
            "wait_until_answered": True,
            "ringing_timeout": "2s",
        },
        sip={"call": True},
    )
    grants = {"roomCreate": True}
    await call(http, livekit, "RoomService/DeleteRoom", {"room": room}, video=grants)
    return _told(sip, told, is_stand_in=is_stand_in)


def _told(sip: Access, told: Told, *, is_stand_in: bool) -> Finding:
    message = told.message or ""
    if "fail to resolve" in message:
        if is_stand_in:
            detail = "the stand-in answers (bolti-server phone-network): only its own callees can be reached."
            return ok("sip service", detail)
        return ok("sip service", f"a real one answers behind {sip.url}.")
    if "redis required" in message:
        return problem("sip service", "LiveKit can't ask for one without Redis.", "See redis.")
    if "no response from servers" in message:
        detail = "LiveKit found no SIP service."
        advice = "Start livekit-sip with the same Redis, key and secret as livekit-server."
        return problem("sip service", detail, advice)
    if "cpu exhausted" in message:
        detail = "it answers, and takes no calls: it is out of CPU."
        return problem("sip service", detail, "Add another livekit-sip, or give it more cores.")
    if told.status in (401, 403) and "sip status" not in message:
        return problem("sip service", f"{sip.url} refuses key and secret.", "See livekit.")
    detail = f"answered something unexpected: HTTP {told.status} {message}".strip() + "."
    return not_checked("sip service", detail)
