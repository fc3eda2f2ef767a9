"""Events become deliveries, after the commit, in the order of the log.

Rules: a batch is the oldest part of the log that was not worked off, so of two events of a conversation the earlier one
never has its deliveries later, which the order of first tries builds on. One transaction at a time does it (an advisory
lock): a second one would do the same work and wait for the first. An event and an endpoint have at most one delivery. An
endpoint gets an event if it was subscribed to its type when the event was committed: `subscriptions` holds the position
of the log at which it subscribed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bolti_server.base.ids import new_id
from bolti_server.webhooks import delivery_queries as queries
from bolti_server.webhooks.delivery_queries import NewDelivery, NewEvent, Subscriber
from bolti_server.world import World

MOST_EVENTS = 500


async def fan_out(world: World) -> int:
    """How many events of the log were worked off; 0 also where another process is at it."""
    async with world.db.transaction() as tx:
        if not await queries.take_fan_out_lock_of_any_workspace(tx):
            return 0
        events = await queries.next_events_of_any_workspace(tx, limit=MOST_EVENTS)
        if not events:
            return 0
        workspaces = sorted({event.workspace_id for event in events})
        subscribers = await queries.subscribers_of_any_workspace(tx, workspaces)
        deliveries = list(deliveries_of(events, subscribers))
        if deliveries:
            await queries.insert_deliveries_of_any_workspace(tx, deliveries)
            tx.wake("deliveries")
        await queries.mark_fanned_out_of_any_workspace(tx, [event.id for event in events])
        return len(events)


def deliveries_of(
    events: Iterable[NewEvent], subscribers: Iterable[Subscriber]
) -> Iterator[NewDelivery]:
    """Who gets what, in the order of `events`."""
    by_workspace: dict[str, list[Subscriber]] = {}
    for subscriber in subscribers:
        by_workspace.setdefault(subscriber.workspace_id, []).append(subscriber)
    for event in events:
        for subscriber in by_workspace.get(event.workspace_id, ()):
            since = subscriber.subscriptions.get(event.type)
            if since is not None and since < event.position:
                yield NewDelivery(new_id("whdel"), subscriber.id, event)
