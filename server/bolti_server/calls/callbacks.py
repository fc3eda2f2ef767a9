"""What the media server tells us by itself. It is no part of the contract.

Rule: a callback carries no authority. One that is not signed by the media server is refused; a signed one makes us look
into the room of a living call that somebody may have left, and nothing else, so that late, repeated and missing ones
change nothing.
"""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler

from bolti_server.base.errors import Refusal
from bolti_server.base.logging import get_logger
from bolti_server.calls import room_queries
from bolti_server.rooms.media import ForgedCallback
from bolti_server.world import World

LIMIT_BYTES = 256 * 1024  # a room with its participant and track is some kilobytes
TOPIC = "rooms"
# Of what LiveKit tells (ten things a call), that which may mean that somebody is gone.
_TELLING = ("participant_left", "participant_connection_aborted", "room_finished")

log = get_logger("callbacks")


@post("/callbacks/livekit", status_code=204, request_max_body_size=LIMIT_BYTES)
async def of_livekit(
    request: Request[Any, Any, Any], world: NamedDependency[World]
) -> Response[None]:
    if world.media is None:
        raise Refusal(404, "not_found", "There is no media server here: LIVEKIT_URL is not set.")
    body = await request.body()
    try:
        event = world.media.read_callback(body, request.headers.get("authorization", ""))
    except ForgedCallback as error:
        log.warning("forged_callback", reason=str(error))
        raise Refusal(401, "unauthenticated", "This callback is not signed by LiveKit.") from None
    if event is not None and event.kind in _TELLING:
        async with world.db.transaction() as tx:
            if await room_queries.ask_for_look_of_any_workspace(tx, event.room):
                tx.wake(TOPIC)
    return Response(content=None, status_code=204)


ROUTES: list[HTTPRouteHandler] = [of_livekit]
