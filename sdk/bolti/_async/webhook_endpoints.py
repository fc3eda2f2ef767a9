"""Where events are sent, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from bolti import _operations as operations
from bolti._async.core import AsyncCore
from bolti._async.pages import AsyncListing
from bolti._models import (
    WebhookDelivery,
    WebhookDeliveryStatus,
    WebhookEndpoint,
    WebhookEndpointCreated,
    WebhookEventType,
)
from bolti._requests import WebhookEndpointUpdate
from bolti._sending import given


class AsyncWebhookEndpoints:
    """`bolti.webhook_endpoints`. What they receive is checked with `bolti.webhooks.verify`, the module."""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    async def create(
        self,
        *,
        url: str,
        event_types: Sequence[WebhookEventType],
        description: str | None = None,
        has_legacy_headers: bool | None = None,
        idempotency_key: str | None = None,
    ) -> WebhookEndpointCreated:
        """Makes an endpoint that hears of these events from now on. Its `secret` is shown this once: store it.

        Raises ValidationFailed (a private address, an unknown event type). Safe to repeat with the same
        `idempotency_key`.
        """
        body = given(
            url=url,
            event_types=event_types,
            description=description,
            has_legacy_headers=has_legacy_headers,
        )
        return await self._core.call(
            operations.CREATE_WEBHOOK_ENDPOINT, body=body, idempotency_key=idempotency_key
        )

    def list(
        self, *, limit: int | None = None, after: str | None = None
    ) -> AsyncListing[WebhookEndpoint]:
        """Endpoints, newest first, `limit` (1-100, default 20) to a page."""
        query = given(limit=limit, after=after)
        return self._core.pages(operations.LIST_WEBHOOK_ENDPOINTS, query=query)

    async def get(self, webhook_endpoint_id: str) -> WebhookEndpoint:
        """The endpoint, without its secret. Raises NotFound."""
        return await self._core.call(
            operations.GET_WEBHOOK_ENDPOINT, webhook_endpoint_id=webhook_endpoint_id
        )

    async def update(
        self, webhook_endpoint_id: str, **changes: Unpack[WebhookEndpointUpdate]
    ) -> WebhookEndpoint:
        """Changes what is given; `status="enabled"` starts a disabled one again. Raises NotFound, ValidationFailed."""
        return await self._core.call(
            operations.UPDATE_WEBHOOK_ENDPOINT,
            body=changes,
            webhook_endpoint_id=webhook_endpoint_id,
        )

    async def delete(self, webhook_endpoint_id: str) -> None:
        """Deletes it; deliveries that are still pending are dropped. Raises NotFound."""
        await self._core.call(
            operations.DELETE_WEBHOOK_ENDPOINT, webhook_endpoint_id=webhook_endpoint_id
        )

    async def test(
        self, webhook_endpoint_id: str, *, idempotency_key: str | None = None
    ) -> WebhookDelivery:
        """Sends a `test.ping` like any other delivery; `deliveries()` shows what came of it. Raises NotFound."""
        return await self._core.call(
            operations.TEST_WEBHOOK_ENDPOINT,
            idempotency_key=idempotency_key,
            webhook_endpoint_id=webhook_endpoint_id,
        )

    def deliveries(
        self,
        webhook_endpoint_id: str,
        *,
        status: WebhookDeliveryStatus | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> AsyncListing[WebhookDelivery]:
        """What was sent there, with every attempt, newest first, `limit` (1-100, default 20) to a page."""
        query = given(status=status, limit=limit, after=after)
        return self._core.pages(
            operations.LIST_WEBHOOK_DELIVERIES,
            query=query,
            webhook_endpoint_id=webhook_endpoint_id,
        )

    async def replay(
        self,
        webhook_endpoint_id: str,
        webhook_delivery_id: str,
        *,
        idempotency_key: str | None = None,
    ) -> WebhookDelivery:
        """Sends the same event with the same `webhook-id` again, now.

        Raises NotFound. Safe to repeat with the same `idempotency_key`.
        """
        return await self._core.call(
            operations.REPLAY_WEBHOOK_DELIVERY,
            idempotency_key=idempotency_key,
            webhook_endpoint_id=webhook_endpoint_id,
            webhook_delivery_id=webhook_delivery_id,
        )
