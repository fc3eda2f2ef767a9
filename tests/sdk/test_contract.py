"""The client and contracts/openapi.yaml say the same: every operation has its method, and no method another operation."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import jsonschema_rs
import pytest
from tests.sdk.conftest import Face
from tests.sdk.support.contract import ContractOperation, contract, example, operations, schemas
from tests.sdk.support.scripted_server import Reply, json_reply

import bolti
from bolti import _operations, _requests
from bolti._operations import Operation
from bolti._retrying import Repeat

WORKSPACE = "ws_01kavqm3t8e6zb2c4d5f7g9h0w"
AGENT = "agent_01kavqm3t8e6zb2c4d5f7g9h1a"
TOOL = "tool_01kavqm3t8e6zb2c4d5f7g9h1t"
NUMBER = "num_01kavqm3t8e6zb2c4d5f7g9h1n"
TRUNK = "trunk_01kavqm3t8e6zb2c4d5f7g9h1s"
APN = "apn_01kavqm3t8e6zb2c4d5f7g9h1p"
DO_NOT_CALL = "dnc_01kavqm3t8e6zb2c4d5f7g9h1d"
CONVERSATION = "conv_01kavqm3t8e6zb2c4d5f7g9h2c"
KEY = "key_01kavqm3t8e6zb2c4d5f7g9h0k"
ENDPOINT = "whep_01kavqm3t8e6zb2c4d5f7g9h5w"
DELIVERY = "whdel_01kavqm3t8e6zb2c4d5f7g9h5d"
EVENT = "evt_01kavqm3t8e6zb2c4d5f7g9h3e"
IDS = {
    "workspace_id": WORKSPACE,
    "agent_id": AGENT,
    "version": "3",
    "tool_id": TOOL,
    "number_id": NUMBER,
    "trunk_id": TRUNK,
    "agent_phone_number_id": APN,
    "do_not_call_entry_id": DO_NOT_CALL,
    "conversation_id": CONVERSATION,
    "api_key_id": KEY,
    "webhook_endpoint_id": ENDPOINT,
    "webhook_delivery_id": DELIVERY,
}
NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
PAGE: dict[str, Any] = {"limit": 5, "after": "c1"}
SORTED: dict[str, Any] = {**PAGE, "sort": "oldest"}
SIGNED_LINK = {"expires", "signature"}  # of a link that is opened without a key

# Every method with all that it can be given.
CALLS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "getHealth": ("health.get", lambda b: b.health.get()),
    "getWorkspace": ("workspace.get", lambda b: b.workspace.get()),
    "updateWorkspace": (
        "workspace.update",
        lambda b: b.workspace.update(**example("WorkspaceUpdate")),
    ),
    "createApiKey": (
        "api_keys.create",
        lambda b: b.api_keys.create(
            name="k", kind="secret", origins=[], scopes=["calls:write"], expires_at=NOW
        ),
    ),
    "listApiKeys": ("api_keys.list", lambda b: b.api_keys.list(**PAGE)),
    "revokeApiKey": ("api_keys.revoke", lambda b: b.api_keys.revoke(KEY)),
    "createAgent": ("agents.create", lambda b: b.agents.create(**example("AgentCreate"))),
    "listAgents": ("agents.list", lambda b: b.agents.list(is_active=False, name="x", **SORTED)),
    "getAgent": ("agents.get", lambda b: b.agents.get(AGENT)),
    "updateAgent": ("agents.update", lambda b: b.agents.update(AGENT, **example("AgentUpdate"))),
    "deleteAgent": ("agents.delete", lambda b: b.agents.delete(AGENT)),
    "placeOutboundCall": (
        "agents.outbound_call",
        lambda b: b.agents.outbound_call(
            AGENT,
            to_number="+12025550100",
            agent_phone_number_id=APN,
            variable_values={"name": "Asha", "count": 2, "is_new": True},
            scheduled_at=NOW,
            timezone="Asia/Kolkata",
            max_duration_seconds=60,
            when_limited="queue",
            queue_timeout_seconds=10,
            allow_concurrent_to_callee=True,
            simulation={"scenario": "busy"},
        ),
    ),
    "startWebCall": (
        "agents.web_call",
        lambda b: b.agents.web_call(AGENT, variable_values={"name": "A"}, max_duration_seconds=60),
    ),
    "listAgentVersions": (
        "agent_versions.list",
        lambda b: b.agent_versions.list(AGENT, **PAGE),
    ),
    "getAgentVersion": ("agent_versions.get", lambda b: b.agent_versions.get(AGENT, 3)),
    "compareAgentVersions": (
        "agent_versions.compare",
        lambda b: b.agent_versions.compare(AGENT, 3, since=2),
    ),
    "restoreAgentVersion": ("agent_versions.restore", lambda b: b.agent_versions.restore(AGENT, 3)),
    "listAgentPhoneNumbers": (
        "agent_phone_numbers.list",
        lambda b: b.agent_phone_numbers.list(AGENT, **PAGE),
    ),
    "assignPhoneNumber": (
        "agent_phone_numbers.assign",
        lambda b: b.agent_phone_numbers.assign(AGENT, number_id=NUMBER, direction="outbound"),
    ),
    "unassignPhoneNumber": (
        "agent_phone_numbers.unassign",
        lambda b: b.agent_phone_numbers.unassign(AGENT, APN),
    ),
    "listDoNotCallEntries": ("do_not_call.list", lambda b: b.do_not_call.list(**PAGE)),
    "createDoNotCallEntry": (
        "do_not_call.create",
        lambda b: b.do_not_call.create(**example("DoNotCallCreate")),
    ),
    "deleteDoNotCallEntry": ("do_not_call.delete", lambda b: b.do_not_call.delete(DO_NOT_CALL)),
    "listNumbers": (
        "numbers.list",
        lambda b: b.numbers.list(
            is_assigned=True,
            agent_id=AGENT,
            country="US",
            phone_number="+12025550100",
            simulated=True,
            trunk_id=TRUNK,
            **SORTED,
        ),
    ),
    "listAvailableNumbers": (
        "numbers.available",
        lambda b: b.numbers.available(country="US", contains="42", **PAGE),
    ),
    "buyNumber": ("numbers.buy", lambda b: b.numbers.buy(phone_number="+12025550142")),
    "releaseNumber": ("numbers.release", lambda b: b.numbers.release(NUMBER)),
    "getNumber": ("numbers.get", lambda b: b.numbers.get(NUMBER)),
    "createTrunk": ("trunks.create", lambda b: b.trunks.create(**example("TrunkCreate"))),
    "listTrunks": (
        "trunks.list",
        lambda b: b.trunks.list(kind="byot", name="x", inbound_status="failed", **SORTED),
    ),
    "getTrunk": ("trunks.get", lambda b: b.trunks.get(TRUNK)),
    "updateTrunk": ("trunks.update", lambda b: b.trunks.update(TRUNK, **example("TrunkUpdate"))),
    "deleteTrunk": ("trunks.delete", lambda b: b.trunks.delete(TRUNK)),
    "addTrunkNumber": (
        "trunks.add_number",
        lambda b: b.trunks.add_number(TRUNK, phone_number="+918041234567"),
    ),
    "createTool": ("tools.create", lambda b: b.tools.create(**example("ToolCreate"))),
    "listTools": ("tools.list", lambda b: b.tools.list(name="x", **SORTED)),
    "getTool": ("tools.get", lambda b: b.tools.get(TOOL)),
    "updateTool": ("tools.update", lambda b: b.tools.update(TOOL, **example("ToolUpdate"))),
    "deleteTool": ("tools.delete", lambda b: b.tools.delete(TOOL)),
    "testTool": (
        "tools.test",
        lambda b: b.tools.test(TOOL, arguments={"a": [1, None]}, variable_values={"b": "c"}),
    ),
    "getCatalogue": ("catalogue.get", lambda b: b.catalogue.get()),
    "listConversations": (
        "conversations.list",
        lambda b: b.conversations.list(
            status="busy",
            direction="outbound",
            agent_id=AGENT,
            to_number="+12025550100",
            from_number="+12025550199",
            simulated=True,
            hangup_code="busy",
            created_after=NOW,
            created_before=NOW.isoformat(),
            **SORTED,
        ),
    ),
    "getConversation": ("conversations.get", lambda b: b.conversations.get(CONVERSATION)),
    "getTranscript": (
        "conversations.transcript",
        lambda b: b.conversations.transcript(CONVERSATION),
    ),
    "getRecording": ("conversations.recording", lambda b: b.conversations.recording(CONVERSATION)),
    "getRecordingPeaks": (
        "conversations.peaks",
        lambda b: b.conversations.peaks(CONVERSATION),
    ),
    "endConversation": (
        "conversations.end",
        lambda b: b.conversations.end(CONVERSATION, say="Bye."),
    ),
    "listEvents": (
        "events.list",
        lambda b: b.events.list(types=["test.ping"], conversation_id=CONVERSATION, **PAGE),
    ),
    "getBalance": ("billing.balance", lambda b: b.billing.balance(ledger="live")),
    "listLedgerTransactions": (
        "billing.ledger",
        lambda b: b.billing.ledger(ledger="test", reference=CONVERSATION, **PAGE),
    ),
    "createWebhookEndpoint": (
        "webhook_endpoints.create",
        lambda b: b.webhook_endpoints.create(
            url="https://example.com/x",
            event_types=["test.ping"],
            description="d",
            has_legacy_headers=True,
        ),
    ),
    "listWebhookEndpoints": ("webhook_endpoints.list", lambda b: b.webhook_endpoints.list(**PAGE)),
    "getWebhookEndpoint": ("webhook_endpoints.get", lambda b: b.webhook_endpoints.get(ENDPOINT)),
    "updateWebhookEndpoint": (
        "webhook_endpoints.update",
        lambda b: b.webhook_endpoints.update(ENDPOINT, status="enabled", description=""),
    ),
    "deleteWebhookEndpoint": (
        "webhook_endpoints.delete",
        lambda b: b.webhook_endpoints.delete(ENDPOINT),
    ),
    "testWebhookEndpoint": ("webhook_endpoints.test", lambda b: b.webhook_endpoints.test(ENDPOINT)),
    "listWebhookDeliveries": (
        "webhook_endpoints.deliveries",
        lambda b: b.webhook_endpoints.deliveries(ENDPOINT, status="dead", **PAGE),
    ),
    "replayWebhookDelivery": (
        "webhook_endpoints.replay",
        lambda b: b.webhook_endpoints.replay(ENDPOINT, DELIVERY),
    ),
}
ALSO = {
    "conversations.wait_until_ended",
    "events.stream",
}  # built on getConversation and listEvents


def public_methods(client: Any) -> set[str]:
    found: set[str] = set()
    for name, resource in vars(client).items():
        if not name.startswith("_"):
            methods = [each for each in dir(resource) if not each.startswith("_")]
            found |= {f"{name}.{each}" for each in methods}
    return found


def valid(value: Any, schema: dict[str, Any]) -> bool:
    whole = {**schema, "components": contract()["components"]}
    return jsonschema_rs.validator_for(whole).is_valid(value)


def answer_of(operation: ContractOperation) -> Reply:
    status, name, answer = operation.success
    if operation.id == "getRecording":
        return Reply(200, b"OggS", {"Content-Type": "audio/ogg"})
    return json_reply(answer, status) if name else Reply(status)


@pytest.mark.parametrize("kind", [bolti.Bolti, bolti.AsyncBolti])
def test_every_operation_has_a_method_and_every_method_an_operation(kind: Any) -> None:
    client = kind(api_key="bolti_sk_x", base_url="http://127.0.0.1:1")
    assert set(CALLS) == {each.id for each in operations()}
    assert public_methods(client) == {name for name, _ in CALLS.values()} | ALSO


@pytest.mark.parametrize("operation", list(operations()), ids=lambda operation: operation.id)
async def test_a_method_sends_what_its_operation_wants_and_reads_its_answer(
    face: Face, operation: ContractOperation
) -> None:
    face.server.answers = [answer_of(operation)]
    answer = await face(CALLS[operation.id][1], workspace_id=WORKSPACE)
    (request,) = face.server.received
    assert (request.method, request.path) == (operation.method, operation.path.format(**IDS))
    assert set(request.query) == operation.query_names - SIGNED_LINK
    assert ("idempotency-key" in request.headers) == operation.is_keyed
    if operation.request_schema is None:
        assert request.body == b""
    else:
        assert request.headers["content-type"] == "application/json"
        assert valid(request.json, operation.request_schema), request.json
        assert set(request.json) == set(expected_members(operation))
    _, schema, sent = operation.success
    if schema is not None and schema.endswith("Page"):
        assert type(answer).__name__ in ("Page", "AsyncPage")
        assert [each.model_dump(mode="json") for each in answer.data] == sent["data"]
    elif schema is not None:
        assert type(answer).__name__ == schema
        assert answer.model_dump(mode="json") == sent


def expected_members(operation: ContractOperation) -> set[str]:
    """All members of the request where the call gives all, else those of the example."""
    assert operation.request_schema is not None
    name = operation.request_schema["$ref"].rsplit("/", 1)[1]
    if name.endswith(("Update", "AgentCreate", "ToolCreate")):
        given = {"WebhookEndpointUpdate": ["status", "description"]}
        return set(given.get(name, example(name)))
    return set(schemas()[name]["properties"])


@pytest.mark.parametrize("contracted", list(operations()), ids=lambda operation: operation.id)
def test_the_table_of_operations_is_the_contracts(contracted: ContractOperation) -> None:
    table = {each.id: each for each in vars(_operations).values() if isinstance(each, Operation)}
    assert set(table) == {each.id for each in operations()}
    ours = table[contracted.id]
    assert (ours.method, ours.path) == (contracted.method, contracted.path)
    assert ours.is_keyed == contracted.is_keyed
    assert ours.has_body == (contracted.request_schema is not None)
    never_twice = contracted.method == "POST" and not contracted.is_keyed
    assert (ours.repeat is Repeat.IF_NOTHING_HAPPENED) == never_twice


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in vars(_requests)
        if typing.is_typeddict(getattr(_requests, name)) and name[0] != "_"
    ],
)
def test_a_request_has_the_members_of_its_schema(name: str) -> None:
    kind, schema = getattr(_requests, name), schemas()[name]
    assert kind.__required_keys__ == frozenset(schema.get("required", []))
    assert kind.__required_keys__ | kind.__optional_keys__ == frozenset(schema["properties"])
    for member, hint in typing.get_type_hints(kind).items():
        is_nullable = "null" in str(resolved_type(schema["properties"][member]))
        assert (types.NoneType in typing.get_args(hint)) == is_nullable, member


def resolved_type(member: dict[str, Any]) -> Any:
    if "$ref" in member:
        return resolved_type(schemas()[member["$ref"].rsplit("/", 1)[1]])
    return [member.get("type"), *(each.get("type") for each in member.get("anyOf", []))]


async def test_ids_are_quoted_and_can_not_reach_another_path(face: Face) -> None:
    face.server.answers = [json_reply(example("Agent"))]
    await face(lambda client: client.agents.get("a/../b?c#d %é"))
    assert face.server.received[0].target == (
        "/workspaces/current/agents/a%2F..%2Fb%3Fc%23d%20%25%C3%A9"
    )


@pytest.mark.parametrize("nothing", ["", ".", "..", "..."])
async def test_an_id_that_is_none_is_refused_before_anything_is_sent(
    face: Face, nothing: str
) -> None:
    with pytest.raises(ValueError, match="agent_id must be an id"):
        await face(lambda client: client.agents.delete(nothing))
    assert face.server.received == []


async def test_what_a_newer_server_adds_is_kept(face: Face) -> None:
    record = {**example("Conversation"), "status": "on_hold", "mood": {"is_good": True}}
    face.server.answers = [json_reply(record)]
    conversation = await face(lambda client: client.conversations.get(CONVERSATION))
    assert conversation.status == "on_hold"
    assert conversation.mood == {"is_good": True}


async def test_settings_that_were_read_can_be_handed_back(face: Face) -> None:
    face.server.answers = [json_reply(example("Agent"))]
    agent = await face(lambda client: client.agents.get(AGENT))
    await face(lambda client: client.agents.update(AGENT, stt=agent.stt, llm=agent.llm))
    sent = face.server.received[1].json
    assert sent == {"stt": example("Agent")["stt"], "llm": example("Agent")["llm"]}


async def test_none_is_sent_in_an_update_and_left_out_of_a_call(face: Face) -> None:
    face.server.answers = [json_reply(example("Agent"))]
    await face(lambda client: client.agents.update(AGENT, goal=None))
    assert face.server.received[0].json == {"goal": None}
    face.server.answers = [json_reply(example("OutboundCall"), 201)]
    await face(lambda client: client.agents.outbound_call(AGENT, to_number="+12025550100"))
    assert face.server.received[1].json == {"to_number": "+12025550100"}


def test_transcripts_have_shortcuts() -> None:
    conversation = bolti.Conversation.model_validate(example("Conversation"))
    transcript = bolti.Transcript.model_validate(example("Transcript"))
    assert conversation.text.splitlines() == [
        f"{turn.role}: {turn.text}" for turn in conversation.transcript
    ]
    assert conversation.said_by("user") == tuple(
        turn.text for turn in conversation.transcript if turn.role == "user"
    )
    assert transcript.text.startswith(f"{transcript.turns[0].role}: ")
    assert transcript.said_by("agent")


def test_methods_say_what_they_give() -> None:
    client = bolti.Bolti(api_key="bolti_sk_x", base_url="http://127.0.0.1:1")
    for name in public_methods(client):
        resource, method = name.split(".")
        documentation = inspect.getdoc(getattr(getattr(client, resource), method))
        assert documentation, name
        assert documentation.rstrip().endswith("."), name
