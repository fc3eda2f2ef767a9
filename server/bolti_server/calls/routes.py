"""Routes of calls and conversations: what a body, a query or a header says, and what is answered."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response import Stream

from bolti_server.base.db import Tx
from bolti_server.base.errors import Fault, Refusal, combine, not_found
from bolti_server.calls import ending, queries, records
from bolti_server.calls.instants import parse_instant
from bolti_server.calls.placing import Asking, place_outbound_call
from bolti_server.calls.queries import ConversationFilter
from bolti_server.calls.recording_download import MEDIA_TYPE, open_download
from bolti_server.calls.recording_peaks import peaks_of
from bolti_server.calls.requests import Wanted, wanted_despite, wanted_of
from bolti_server.contract import structs
from bolti_server.web.authentication import Caller
from bolti_server.web.bodies import body_or_refusal, validation_failed
from bolti_server.web.idempotency import Answer, idempotently
from bolti_server.web.paging import page_of, page_request
from bolti_server.web.parameters import query_of
from bolti_server.web.responses import json_response
from bolti_server.world import World


@post(
    "/workspaces/{workspace_id:str}/agents/{agent_id:str}/outbound-call",
    operation_id="placeOutboundCall",
)
async def place(
    request: Request[Any, Any, Any],
    world: NamedDependency[World],
    caller: NamedDependency[Caller],
    agent_id: FromPath[str],
) -> Response[bytes]:
    wanted = await _wanted(request)
    asking = Asking(
        workspace_id=caller.workspace_id,
        organization_id=caller.organization_id,
        agent_id=agent_id,
        has_rooms=world.media is not None,
        idempotency_key=request.headers.get("idempotency-key"),
    )

    async def work(tx: Tx) -> Answer:
        call = await place_outbound_call(tx, asking, wanted)
        location = f"/workspaces/{caller.workspace_id}/conversations/{call.conversation_id}"
        return Answer(201, call, {"Location": location})

    return await idempotently(world, request, caller, work)


@get("/workspaces/{workspace_id:str}/conversations", operation_id="listConversations")
async def list_conversations(
    request: Request[Any, Any, Any], world: NamedDependency[World], caller: NamedDependency[Caller]
) -> Response[bytes]:
    page = page_request(request, id_prefix="conv")
    wanted = _filter(query_of(request))
    async with world.db.transaction(is_readonly=True) as tx:
        found = await records.summaries(
            tx,
            world,
            caller.workspace_id,
            wanted,
            limit=page.limit + 1,
            before_id=page.before_id,
        )
    data, cursor = page_of(found, page, lambda each: each.id)
    return json_response(structs.ConversationPage(data=data, next=cursor))


@get(
    "/workspaces/{workspace_id:str}/conversations/{conversation_id:str}",
    operation_id="getConversation",
)
async def get_conversation(
    world: NamedDependency[World], caller: NamedDependency[Caller], conversation_id: FromPath[str]
) -> Response[bytes]:
    async with world.db.transaction(is_readonly=True) as tx:
        found = await records.conversation(tx, world, caller.workspace_id, conversation_id)
    if found is None:
        raise not_found("conversation")
    return json_response(found)


@get(
    "/workspaces/{workspace_id:str}/conversations/{conversation_id:str}/transcript",
    operation_id="getTranscript",
)
async def get_transcript(
    world: NamedDependency[World], caller: NamedDependency[Caller], conversation_id: FromPath[str]
) -> Response[bytes]:
    async with world.db.transaction(is_readonly=True) as tx:
        found = await records.transcript(tx, caller.workspace_id, conversation_id)
    if found is None:
        raise not_found("conversation")
    return json_response(found)


@get(
    "/workspaces/{workspace_id:str}/conversations/{conversation_id:str}/recording",
    operation_id="getRecording",
)
async def get_recording(
    request: Request[Any, Any, Any],
    world: NamedDependency[World],
    caller: NamedDependency[Caller],
    conversation_id: FromPath[str],
) -> Stream:
    download = await open_download(
        world, caller.workspace_id, conversation_id, request.headers.get("range")
    )
    span = download.span
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Length": str(span.length),
        "Content-Disposition": f'inline; filename="{conversation_id}.ogg"',
        "Cache-Control": "private",
    }
    if span.is_part:
        headers["Content-Range"] = f"bytes {span.start}-{span.end - 1}/{span.total}"
    return Stream(
        download.chunks,
        status_code=206 if span.is_part else 200,
        headers=headers,
        media_type=MEDIA_TYPE,
    )


@get(
    "/workspaces/{workspace_id:str}/conversations/{conversation_id:str}/recording/peaks",
    operation_id="getRecordingPeaks",
)
async def get_recording_peaks(
    world: NamedDependency[World], caller: NamedDependency[Caller], conversation_id: FromPath[str]
) -> Response[bytes]:
    return json_response(await peaks_of(world, caller.workspace_id, conversation_id))


@post(
    "/workspaces/{workspace_id:str}/conversations/{conversation_id:str}/end",
    operation_id="endConversation",
)
async def end_conversation(
    request: Request[Any, Any, Any],
    world: NamedDependency[World],
    caller: NamedDependency[Caller],
    conversation_id: FromPath[str],
) -> Response[bytes]:
    body = await body_or_refusal(request, structs.EndRequest)
    async with world.db.transaction() as tx:
        if not await queries.is_conversation(tx, caller.workspace_id, conversation_id):
            faults = [body] if isinstance(body, Refusal) else []
            raise combine([not_found("conversation"), *faults])
        if isinstance(body, Refusal):
            raise body
        await ending.request_end(tx, world, caller.workspace_id, conversation_id, text=body.say)
        record = await records.conversation(tx, world, caller.workspace_id, conversation_id)
    assert record is not None, "conversations are never deleted"
    return json_response(record, status=202)


async def _wanted(request: Request[Any, Any, Any]) -> Wanted | Refusal:
    body = await body_or_refusal(request, structs.OutboundCallRequest)
    if not isinstance(body, Refusal):
        return wanted_of(body)
    if body.status != 400:
        return body  # too large, or of another kind: not looked into
    return wanted_despite(body, await request.body()) or body


def _filter(query: Mapping[str, Any]) -> ConversationFilter:
    return ConversationFilter(
        statuses=query.get("status") or (),
        direction=query.get("direction"),
        agent_id=query.get("agent_id"),
        to_number=query.get("to_number"),
        from_number=query.get("from_number"),
        simulated=query.get("simulated"),
        hangup_code=query.get("hangup_code"),
        created_at_or_after=_instant(query, "created_after"),
        created_before=_instant(query, "created_before"),
        is_oldest_first=query["sort"] == "oldest",
    )


def _instant(query: Mapping[str, Any], name: str) -> datetime | None:
    """The contract's format has seen to the offset; what it can't see is a leap second."""
    text = query.get(name)
    try:
        return None if text is None else parse_instant(text)
    except ValueError as error:
        raise validation_failed([Fault("invalid_format", str(error), f"query:{name}")]) from None


ROUTES: list[HTTPRouteHandler] = [
    place,
    list_conversations,
    get_conversation,
    get_transcript,
    get_recording,
    get_recording_peaks,
    end_conversation,
]
