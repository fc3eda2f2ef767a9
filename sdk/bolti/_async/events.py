"""The workspace's numbered event log."""

from __future__ import annotations

from collections.abc import Sequence

from bolti import _operations as operations
from bolti._async.core import AsyncCore
from bolti._async.pages import AsyncListing
from bolti._async.streams import AsyncEventStream
from bolti._events import AnyEvent
from bolti._models import EventType
from bolti._sending import given


class AsyncEvents:
    """`bolti.events`: what happened, in order."""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    def list(
        self,
        *,
        types: Sequence[EventType] | None = None,
        conversation_id: str | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> AsyncListing[AnyEvent]:
        """Events up to now, oldest first, `limit` (1-100, default 20) to a page.

        `after`: the `next` of a page or the id of an event: only what is newer. Without it the log is read from its
        start.
        """
        query = given(type=types, conversation_id=conversation_id, limit=limit, after=after)
        return self._core.pages(operations.LIST_EVENTS, query=query)

    def stream(
        self,
        *,
        types: Sequence[EventType] | None = None,
        conversation_id: str | None = None,
        after: str | None = None,
        give_up_after_seconds: float = 300,
    ) -> AsyncEventStream:
        """Events as they come, without an end: iterate, and close it when you have seen enough.

        First what the log holds after `after` (an event's id; None: from its start), then what happens. Dropped
        connections are opened again after the last event, so none is lost and none comes twice. Iterating raises
        ConnectionFailed when there was no connection for `give_up_after_seconds`, and ApiError where the server refuses.
        """
        query = given(type=types, conversation_id=conversation_id, after=after)
        return AsyncEventStream(self._core, query, give_up_after_seconds=give_up_after_seconds)
