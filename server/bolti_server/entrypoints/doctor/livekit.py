"""The LiveKit server: reached, key and secret right, the same time as here, rooms made by whoever joins them.

`auto_create` is asked for by `/rtc/validate`: it says whether a token would get into a room that does not exist, and makes
nothing (livekit-server 1.13.5 measured: 200 with auto_create, 404 "requested room does not exist" without).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from uuid import uuid4

import httpx2

from bolti_server.entrypoints.doctor.database import clock_finding
from bolti_server.entrypoints.doctor.findings import Finding, Sign, not_checked, ok, problem
from bolti_server.entrypoints.doctor.twirp import Access, Told, call

DEPENDENT = ("livekit clock", "auto_create")
FURTHEST_SECONDS = 5.0  # HTTP's Date has whole seconds; a browser's token lives for 60
_NO_KEY = "LIVEKIT_API_KEY and LIVEKIT_API_SECRET have to be a pair under `keys` in livekit.yaml."


async def look_at_livekit(http: httpx2.AsyncClient, access: Access) -> Sequence[Finding]:
    try:
        told = await call(http, access, "RoomService/ListRooms", {}, video={"roomList": True})
    except httpx2.HTTPError as error:
        reason = str(error) or type(error).__name__
        advice = "Start livekit-server, or correct LIVEKIT_URL."
        return [
            problem("livekit", f"does not answer at {access.url}: {reason}.", advice),
            *(not_checked(name, "LiveKit does not answer.") for name in DEPENDENT),
        ]
    first = _rooms(access, told)
    found = [first, _clock(told)]
    if first.sign is not Sign.OK:
        return [*found, not_checked("auto_create", "LiveKit answers, but not to us.")]
    return [*found, await _auto_create(http, access)]


def _rooms(access: Access, told: Told) -> Finding:
    if told.code is None and told.is_twirp:
        return ok("livekit", f"answers at {access.url} and takes key and secret.")
    if told.status in (401, 403):
        return problem("livekit", f"{access.url} refuses key and secret.", _NO_KEY)
    detail = (
        f"what answers at {access.url} is no LiveKit server, or is broken (HTTP {told.status})."
    )
    return problem("livekit", detail, "Correct LIVEKIT_URL, or see the log of livekit-server.")


def _clock(told: Told) -> Finding:
    try:
        theirs = parsedate_to_datetime(told.date or "")
    except ValueError:
        return not_checked("livekit clock", "the answer has no date.")
    return clock_finding(
        "livekit clock",
        "LiveKit's clock",
        theirs,
        datetime.now(UTC),
        furthest_seconds=FURTHEST_SECONDS,
    )


async def _auto_create(http: httpx2.AsyncClient, access: Access) -> Finding:
    grant = {"roomJoin": True, "room": f"doctor-{uuid4().hex}"}
    try:
        answer = await http.get(
            f"{access.http_url}/rtc/validate", params={"access_token": access.token(video=grant)}
        )
    except httpx2.HTTPError as error:
        return not_checked("auto_create", f"LiveKit stopped answering: {type(error).__name__}.")
    if answer.status_code == 404 and "does not exist" in answer.text:
        detail = (
            "LiveKit makes no room for whoever joins one: calls that come in get 486 Busy Here."
        )
        return problem("auto_create", detail, "Set room.auto_create to true in livekit.yaml.")
    if answer.status_code != 200:
        detail = f"LiveKit answered {answer.status_code} where 200 or 404 was expected."
        return not_checked("auto_create", detail)
    return ok("auto_create", "rooms are made by whoever joins them.")
