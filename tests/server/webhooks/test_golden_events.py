"""contracts/events/: one example for each type of event, true to the contract."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import jsonschema_rs
import pytest
import yaml
from tests.server.conftest import Home
from tests.server.support.receivers import receiving
from tests.server.support.webhooks import ENDPOINTS, subscribe, work

from bolti_server.billing import ledger
from bolti_server.world import World

CONTRACTS = Path(__file__).resolve().parents[3] / "contracts"
CONTRACT = yaml.safe_load((CONTRACTS / "openapi.yaml").read_text(encoding="utf-8"))
SCHEMAS = CONTRACT["components"]["schemas"]
EXAMPLES = {path.stem: path for path in (CONTRACTS / "events").glob("*.json")}


def schema_of(event_type: str) -> dict[str, Any]:
    """What the contract's `webhooks` says that a POST with such an event holds."""
    post = CONTRACT["webhooks"][event_type]["post"]
    found: dict[str, Any] = post["requestBody"]["content"]["application/json"]["schema"]
    return found


def closed(schema: Any) -> Any:
    """The schema with nothing allowed that it does not name: an example shows no more than the contract."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: closed(value) for name, value in schema.items()}
    if isinstance(made.get("properties"), dict) and made.get("type") == "object":
        made.setdefault("additionalProperties", False)
    return made


def validator(schema: dict[str, Any]) -> Any:
    components = {"schemas": closed(SCHEMAS)}
    return jsonschema_rs.Draft202012Validator(
        {**schema, "components": components}, validate_formats=True
    )


def test_there_is_an_example_of_every_type_and_of_no_other() -> None:
    assert set(EXAMPLES) == set(SCHEMAS["EventType"]["enum"]) == set(CONTRACT["webhooks"])


def test_only_what_is_sent_can_be_subscribed() -> None:
    sent = {name for name, hook in CONTRACT["webhooks"].items() if hook["post"]["x-is-sent"]}
    assert set(SCHEMAS["WebhookEventType"]["enum"]) == sent


@pytest.mark.parametrize("event_type", sorted(EXAMPLES))
def test_an_example_is_valid_by_the_contract(event_type: str) -> None:
    example = json.loads(EXAMPLES[event_type].read_text(encoding="utf-8"))
    assert example["type"] == event_type
    errors = [
        f"{error.instance_path}: {error.message}"
        for error in validator(schema_of(event_type)).iter_errors(example)
    ]
    assert not errors
    errors = list(validator({"$ref": "#/components/schemas/Event"}).iter_errors(example))
    assert not errors


async def test_what_billing_and_webhooks_log_is_no_more_and_no_less_than_the_contract_says(
    world: World, home: Home, client: httpx2.AsyncClient
) -> None:
    async with receiving(410) as receiver, receiving() as other:
        made = await subscribe(client, receiver.url)
        sent = [name for name in SCHEMAS["WebhookEventType"]["enum"] if name != "test.ping"]
        await subscribe(client, other.url, sent)
        await client.post(f"{ENDPOINTS}/{made['id']}/test")
        async with world.db.transaction() as tx:
            hold = await ledger.hold(
                tx,
                organization_id=home.organization_id,
                workspace_id=home.workspace_id,
                ledger="live",
                reference="conv_a",
                wanted_seconds=2460,
            )
            assert isinstance(hold, ledger.Hold)
            await ledger.settle(tx, home.workspace_id, "conv_a", billed_seconds=2460)
        await work(world)
    events = [each.event for each in receiver.received + other.received]
    assert {each["type"] for each in events} == {
        "test.ping",
        "credits.low",
        "webhook_endpoint.disabled",
    }
    for event in events:
        assert validator(schema_of(event["type"])).is_valid(event), event
    logged = (await client.get("/workspaces/current/events")).json()["data"]
    assert sorted(events, key=json.dumps) == sorted(logged, key=json.dumps)


def test_a_wrong_example_is_noticed() -> None:
    example = json.loads(EXAMPLES["credits.low"].read_text(encoding="utf-8"))
    check = validator(schema_of("credits.low"))
    assert check.is_valid(example)
    example["data"]["object"]["surplus"] = 1
    assert not check.is_valid(example)
    del example["data"]["object"]["surplus"], example["data"]["object"]["currency"]
    assert not check.is_valid(example)
