"""Endpoints: made, changed, deleted.

Rules: an endpoint gets what commits after it has subscribed, type by type; changing other fields changes nothing about
that. Its secret is shown once and lies sealed. Where its URL leads is judged at each request (`base.http`); what can be
told from the URL alone is told here.
"""

from __future__ import annotations

import attrs
import msgspec
from msgspec import UNSET

from bolti_server.base.db import Tx
from bolti_server.base.errors import Fault, Refusal, not_found
from bolti_server.base.ids import new_id
from bolti_server.base.logging import get_logger
from bolti_server.contract import structs
from bolti_server.webhooks import queries
from bolti_server.webhooks.disabling import save_disabled
from bolti_server.webhooks.queries import StoredEndpoint
from bolti_server.webhooks.records import endpoint_record
from bolti_server.webhooks.signing import make_secret
from bolti_server.world import World

TABLE, FIELD = "webhook_endpoints", "secret"  # where a sealed secret lies
BY_REQUEST = "It was disabled through the API."

log = get_logger("webhooks")


async def create_endpoint(
    tx: Tx, world: World, workspace_id: str, body: structs.WebhookEndpointCreate
) -> structs.WebhookEndpointCreated:
    """The endpoint with its secret, for this one time. Raises Refusal 400 for a URL that can't be sent to."""
    _check_url(world, workspace_id, body.url)
    endpoint_id, secret = new_id("whep"), make_secret()
    sealed = world.vault.encrypt(
        secret.encode(), workspace_id=workspace_id, table=TABLE, row_id=endpoint_id, field=FIELD
    )
    position = await queries.hold_log_position(tx, workspace_id)
    await queries.insert_endpoint(
        tx,
        workspace_id,
        endpoint_id,
        url=body.url,
        description=body.description,
        secret_encrypted=sealed,
        has_legacy_headers=body.has_legacy_headers,
        subscriptions={each.value: position for each in body.event_types},
    )
    stored = await queries.find_endpoint(tx, workspace_id, endpoint_id)
    assert stored is not None, "inserted a line above"
    shown = msgspec.structs.asdict(endpoint_record(stored))
    return structs.WebhookEndpointCreated(**shown, secret=secret)


async def change_endpoint(
    tx: Tx,
    world: World,
    workspace_id: str,
    endpoint_id: str,
    body: structs.WebhookEndpointUpdate | Refusal,
) -> structs.WebhookEndpoint:
    """The endpoint as it is now. Raises Refusal: 404, else `body` where it is one, 400 for a bad URL."""
    stored = await queries.lock_endpoint(tx, workspace_id, endpoint_id)
    if stored is None:
        raise not_found("webhook endpoint")
    if isinstance(body, Refusal):
        raise body
    if body.url is not UNSET:
        _check_url(world, workspace_id, body.url)
    changed = attrs.evolve(
        stored,
        url=stored.url if body.url is UNSET else body.url,
        description=stored.description if body.description is UNSET else body.description,
        has_legacy_headers=(
            stored.has_legacy_headers
            if body.has_legacy_headers is UNSET
            else body.has_legacy_headers
        ),
        subscriptions=await _subscriptions(tx, workspace_id, stored, body),
    )
    if body.status is structs.WebhookEndpointStatus.enabled:
        changed = attrs.evolve(changed, status="enabled", disabled_reason=None)
    if body.status is structs.WebhookEndpointStatus.disabled and stored.status == "enabled":
        changed = await save_disabled(tx, workspace_id, changed, BY_REQUEST)
    else:
        await queries.save_endpoint(tx, workspace_id, changed)
    return endpoint_record(changed)


async def delete_endpoint(tx: Tx, workspace_id: str, endpoint_id: str) -> None:
    """What still waits for it is dropped. Raises Refusal 404."""
    if not await queries.delete_endpoint(tx, workspace_id, endpoint_id):
        raise not_found("webhook endpoint")
    await queries.drop_pending_deliveries(tx, workspace_id, endpoint_id)


def url_warning(url: str) -> str | None:
    """What is to be said about a URL that is taken nevertheless."""
    if url.lower().startswith("http://"):
        return "Deliveries to http:// can be read and changed on their way. Use https:// where it leaves your machine."
    return None


async def _subscriptions(
    tx: Tx, workspace_id: str, stored: StoredEndpoint, body: structs.WebhookEndpointUpdate
) -> dict[str, int]:
    """A type that is new counts from now on; so does each of an endpoint that is enabled again."""
    is_enabled_again = (
        body.status is structs.WebhookEndpointStatus.enabled and stored.status == "disabled"
    )
    if body.event_types is UNSET and not is_enabled_again:
        return dict(stored.subscriptions)
    types = (
        list(stored.subscriptions)
        if body.event_types is UNSET
        else [each.value for each in body.event_types]
    )
    position = await queries.hold_log_position(tx, workspace_id)
    earlier = {} if is_enabled_again else stored.subscriptions
    return {each: earlier.get(each, position) for each in types}


def _check_url(world: World, workspace_id: str, url: str) -> None:
    complaint = world.http.check_url(url)
    if complaint is not None:
        fault = Fault("invalid_url", complaint, "/url")
        raise Refusal(400, "validation_failed", f"url: {complaint}", faults=[fault])
    if url_warning(url) is not None:
        log.warning("webhook_endpoint_without_tls", workspace_id=workspace_id)
