"""Events by type. Rule: a type this version does not know, or one that has changed, arrives as plain `Event` (its object
as a dictionary), never as an error: a log that can't be read past one row would be lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import from_json

from bolti import _models as models
from bolti._answers import ConversationSummary


class ConversationEventData(models.ConversationEventData):
    """What the event is about."""

    object: ConversationSummary  # pyright: ignore[reportIncompatibleVariableOverride] - frozen: nothing is put in


class ConversationEvent(models.ConversationEvent):
    """A conversation has come to where `type` says; `data.object` is its summary at that moment."""

    data: ConversationEventData  # pyright: ignore[reportIncompatibleVariableOverride] - frozen: nothing is put in


AnyEvent = (
    ConversationEvent
    | models.TurnEvent
    | models.ToolCallEvent
    | models.ScheduledCallEvent
    | models.CreditsLowEvent
    | models.WebhookEndpointEvent
    | models.TestPingEvent
    | models.Event
)
"""What `events.list()`, `events.stream()` and `webhooks.verify()` give: tell them apart with `isinstance` or `type`."""

BY_TYPE: Mapping[str, type[AnyEvent]] = {
    "conversation.started": ConversationEvent,
    "conversation.ringing": ConversationEvent,
    "conversation.answered": ConversationEvent,
    "conversation.turn": models.TurnEvent,
    "conversation.tool_call": models.ToolCallEvent,
    "conversation.ended": ConversationEvent,
    "conversation.completed": ConversationEvent,
    "conversation.recording_ready": ConversationEvent,
    "scheduled_call.created": models.ScheduledCallEvent,
    "scheduled_call.dispatched": models.ScheduledCallEvent,
    "scheduled_call.failed": models.ScheduledCallEvent,
    "scheduled_call.cancelled": models.ScheduledCallEvent,
    "credits.low": models.CreditsLowEvent,
    "webhook_endpoint.disabled": models.WebhookEndpointEvent,
    "test.ping": models.TestPingEvent,
}


@dataclass(frozen=True)
class EventPage:
    """A page of the log, oldest first."""

    data: Sequence[AnyEvent]
    next: str | None


def event_of(text: bytes | str) -> AnyEvent:
    """Raises pydantic's ValidationError where the text is no event at all."""
    event = models.Event.model_validate_json(text)
    known = BY_TYPE.get(event.type)
    if known is None:
        return event
    try:
        return known.model_validate_json(text)
    except ValidationError:
        return event  # the rule above


def event_page(content: bytes) -> EventPage:
    """Raises pydantic's ValidationError."""
    page = models.EventPage.model_validate_json(content)
    raw = cast("dict[str, Any]", from_json(content))
    return EventPage(
        data=tuple(_typed(event, row) for event, row in zip(page.data, raw["data"], strict=True)),
        next=page.next,
    )


def _typed(event: models.Event, row: Any) -> AnyEvent:
    known = BY_TYPE.get(event.type)
    if known is None:
        return event
    try:
        return known.model_validate(row)
    except ValidationError:
        return event  # the rule above
