"""The workspace's event log: pages, oldest first, and the same log live (`live.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from bolti_server.base.errors import Fault, Refusal
from bolti_server.base.ids import is_id
from bolti_server.contract import structs
from bolti_server.web.authentication import Caller
from bolti_server.web.parameters import query_of
from bolti_server.web.responses import json_response
from bolti_server.webhooks import event_queries as queries
from bolti_server.webhooks.event_queries import PlacedEvent
from bolti_server.webhooks.live import Wanted, live_events
from bolti_server.world import World

_JSON, _STREAM = "application/json", "text/event-stream"
_NOT_BUFFERED = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@get("/workspaces/{workspace_id:str}/events", operation_id="listEvents")
async def list_events(
    request: Request[Any, Any, Any], world: NamedDependency[World], caller: NamedDependency[Caller]
) -> Response[bytes] | Stream:
    query = query_of(request)
    wanted = Wanted(types=query.get("type"), subject_id=query.get("conversation_id"))
    position = await _start(world, caller.workspace_id, request.headers, query)
    if request.accept.best_match([_JSON, _STREAM]) == _STREAM:
        live = live_events(world, caller, position, wanted)
        return Stream(live, media_type=_STREAM, headers=_NOT_BUFFERED)
    limit: int = query["limit"]
    found = await queries.events_between(
        world.db,
        caller.workspace_id,
        position,
        None,
        types=wanted.types,
        subject_id=wanted.subject_id,
        limit=limit + 1,
    )
    shown = [_record(each) for each in found[:limit]]
    cursor = shown[-1].id if len(found) > limit else None
    return json_response(structs.EventPage(data=shown, next=cursor))


async def _start(
    world: World, workspace_id: str, headers: Mapping[str, str], query: Mapping[str, Any]
) -> int:
    """The position after which to read: of `Last-Event-ID`, else of `after`, else the start of the log.

    Raises Refusal 400 where that is no event of this workspace.
    """
    last_event_id = headers.get("last-event-id")
    event_id = last_event_id or query.get("after")
    if event_id is None:
        return 0
    if is_id(event_id, "evt"):
        position = await queries.find_position(world.db, workspace_id, event_id)
        if position is not None:
            return position
    name, pointer = (
        ("Last-Event-ID", "header:Last-Event-ID") if last_event_id else ("after", "query:after")
    )
    detail = "There is no such event in this workspace. Use the id of one, or the `next` of a page."
    fault = Fault("invalid_cursor", detail, pointer)
    raise Refusal(400, "validation_failed", f"{name}: {detail}", faults=[fault])


def _record(placed: PlacedEvent) -> structs.Event:
    event = placed.event
    return structs.Event(
        id=event.id,
        type=event.type,
        created_at=event.created_at,
        workspace_id=event.workspace_id,
        sequence=event.sequence,
        simulated=event.simulated,
        data=msgspec.convert(event.data, structs.EventData),
    )


ROUTES: list[HTTPRouteHandler] = [list_events]
