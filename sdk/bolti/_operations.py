"""Every operation of the contract, as data: what is sent where, what comes back, what may be sent again.

A test compares this table with contracts/openapi.yaml in both directions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from bolti import _models as models
from bolti._answers import Conversation, ConversationPage, Transcript
from bolti._events import EventPage, event_page
from bolti._retrying import Repeat

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Operation(Generic[T_co]):
    """`path` as in the contract; `read` makes the answer from the bytes of a success.

    `answers_too`: a status that is no success and yet the answer. `longest_try_seconds`: how long one try may be without
    a sign of life; where it is set the whole call may take that long, whatever the client's timeout says.
    """

    id: str
    method: str
    path: str
    read: Callable[[bytes], T_co]
    is_keyed: bool = False
    has_body: bool = False
    longest_try_seconds: float | None = None
    answers_too: int | None = None

    @property
    def repeat(self) -> Repeat:
        """See `_retrying`."""
        is_safe = self.method != "POST" or self.is_keyed
        return Repeat.ALWAYS if is_safe else Repeat.IF_NOTHING_HAPPENED


def _nothing(_: bytes) -> None:
    return None


def _bytes(content: bytes) -> bytes:
    return content


def _get(name: str, path: str, read: Callable[[bytes], T]) -> Operation[T]:
    return Operation(name, "GET", path, read)


def _post(name: str, path: str, read: Callable[[bytes], T]) -> Operation[T]:
    return Operation(name, "POST", path, read, is_keyed=True, has_body=True)


def _patch(name: str, path: str, read: Callable[[bytes], T]) -> Operation[T]:
    return Operation(name, "PATCH", path, read, has_body=True)


def _delete(name: str, path: str) -> Operation[None]:
    return Operation(name, "DELETE", path, _nothing)


WORKSPACE = "/workspaces/{workspace_id}"
AGENTS = f"{WORKSPACE}/agents"
AGENT = f"{AGENTS}/{{agent_id}}"
AGENT_VERSIONS = f"{AGENT}/versions"
AGENT_VERSION = f"{AGENT_VERSIONS}/{{version}}"
TRUNKS = f"{WORKSPACE}/trunks"
TRUNK = f"{TRUNKS}/{{trunk_id}}"
TOOLS = f"{WORKSPACE}/tools"
TOOL = f"{TOOLS}/{{tool_id}}"
CONVERSATIONS = f"{WORKSPACE}/conversations"
CONVERSATION = f"{CONVERSATIONS}/{{conversation_id}}"
ENDPOINTS = f"{WORKSPACE}/webhook-endpoints"
ENDPOINT = f"{ENDPOINTS}/{{webhook_endpoint_id}}"

GET_HEALTH = Operation(
    "getHealth",
    "GET",
    "/health",
    models.Health.model_validate_json,
    answers_too=503,  # `degraded` is what was asked for, not a failure of asking
)
GET_WORKSPACE = _get("getWorkspace", WORKSPACE, models.Workspace.model_validate_json)
UPDATE_WORKSPACE = _patch("updateWorkspace", WORKSPACE, models.Workspace.model_validate_json)

CREATE_API_KEY = _post(
    "createApiKey", f"{WORKSPACE}/api-keys", models.ApiKeyCreated.model_validate_json
)
LIST_API_KEYS = _get("listApiKeys", f"{WORKSPACE}/api-keys", models.ApiKeyPage.model_validate_json)
REVOKE_API_KEY = _delete("revokeApiKey", f"{WORKSPACE}/api-keys/{{api_key_id}}")

CREATE_AGENT = _post("createAgent", AGENTS, models.Agent.model_validate_json)
LIST_AGENTS = _get("listAgents", AGENTS, models.AgentPage.model_validate_json)
GET_AGENT = _get("getAgent", AGENT, models.Agent.model_validate_json)
UPDATE_AGENT = _patch("updateAgent", AGENT, models.Agent.model_validate_json)
DELETE_AGENT = _delete("deleteAgent", AGENT)
PLACE_OUTBOUND_CALL = _post(
    "placeOutboundCall", f"{AGENT}/outbound-call", models.OutboundCall.model_validate_json
)
START_WEB_CALL = _post("startWebCall", f"{AGENT}/web-call", models.WebCall.model_validate_json)

LIST_AGENT_VERSIONS = _get(
    "listAgentVersions", AGENT_VERSIONS, models.AgentVersionPage.model_validate_json
)
GET_AGENT_VERSION = _get("getAgentVersion", AGENT_VERSION, models.AgentVersion.model_validate_json)
COMPARE_AGENT_VERSIONS = _get(
    "compareAgentVersions",
    f"{AGENT_VERSION}/changes",
    models.AgentVersionChanges.model_validate_json,
)
RESTORE_AGENT_VERSION = Operation(
    "restoreAgentVersion",
    "POST",
    f"{AGENT_VERSION}/restore",
    models.Agent.model_validate_json,
    is_keyed=True,
)

LIST_AGENT_PHONE_NUMBERS = _get(
    "listAgentPhoneNumbers",
    f"{AGENT}/phone-numbers",
    models.AgentPhoneNumberPage.model_validate_json,
)
ASSIGN_PHONE_NUMBER = _post(
    "assignPhoneNumber", f"{AGENT}/phone-numbers", models.AgentPhoneNumber.model_validate_json
)
UNASSIGN_PHONE_NUMBER = _delete(
    "unassignPhoneNumber", f"{AGENT}/phone-numbers/{{agent_phone_number_id}}"
)
LIST_DO_NOT_CALL_ENTRIES = _get(
    "listDoNotCallEntries", f"{WORKSPACE}/do-not-call", models.DoNotCallPage.model_validate_json
)
CREATE_DO_NOT_CALL_ENTRY = _post(
    "createDoNotCallEntry", f"{WORKSPACE}/do-not-call", models.DoNotCallEntry.model_validate_json
)
DELETE_DO_NOT_CALL_ENTRY = _delete(
    "deleteDoNotCallEntry", f"{WORKSPACE}/do-not-call/{{do_not_call_entry_id}}"
)

LIST_NUMBERS = _get("listNumbers", f"{WORKSPACE}/numbers", models.NumberPage.model_validate_json)
LIST_AVAILABLE_NUMBERS = _get(
    "listAvailableNumbers",
    f"{WORKSPACE}/available-numbers",
    models.AvailableNumberPage.model_validate_json,
)
BUY_NUMBER = _post("buyNumber", f"{WORKSPACE}/numbers", models.Number.model_validate_json)
RELEASE_NUMBER = _delete("releaseNumber", f"{WORKSPACE}/numbers/{{number_id}}")
GET_NUMBER = _get(
    "getNumber", f"{WORKSPACE}/numbers/{{number_id}}", models.Number.model_validate_json
)

CREATE_TRUNK = _post("createTrunk", TRUNKS, models.Trunk.model_validate_json)
LIST_TRUNKS = _get("listTrunks", TRUNKS, models.TrunkPage.model_validate_json)
GET_TRUNK = _get("getTrunk", TRUNK, models.Trunk.model_validate_json)
UPDATE_TRUNK = _patch("updateTrunk", TRUNK, models.Trunk.model_validate_json)
DELETE_TRUNK = _delete("deleteTrunk", TRUNK)
ADD_TRUNK_NUMBER = _post("addTrunkNumber", f"{TRUNK}/numbers", models.Number.model_validate_json)

CREATE_TOOL = _post("createTool", TOOLS, models.Tool.model_validate_json)
LIST_TOOLS = _get("listTools", TOOLS, models.ToolPage.model_validate_json)
GET_TOOL = _get("getTool", TOOL, models.Tool.model_validate_json)
UPDATE_TOOL = _patch("updateTool", TOOL, models.Tool.model_validate_json)
DELETE_TOOL = _delete("deleteTool", TOOL)
TEST_TOOL = Operation(
    "testTool",
    "POST",
    f"{TOOL}/test",
    models.ToolTestResult.model_validate_json,
    has_body=True,
    longest_try_seconds=130.0,  # a tool may take 120 s, and the server sends its request
)

GET_CATALOGUE = _get("getCatalogue", f"{WORKSPACE}/catalogue", models.Catalogue.model_validate_json)

LIST_CONVERSATIONS = _get("listConversations", CONVERSATIONS, ConversationPage.model_validate_json)
GET_CONVERSATION = _get("getConversation", CONVERSATION, Conversation.model_validate_json)
GET_TRANSCRIPT = _get("getTranscript", f"{CONVERSATION}/transcript", Transcript.model_validate_json)
GET_RECORDING = _get("getRecording", f"{CONVERSATION}/recording", _bytes)
GET_RECORDING_PEAKS = _get(
    "getRecordingPeaks",
    f"{CONVERSATION}/recording/peaks",
    models.RecordingPeaks.model_validate_json,
)
END_CONVERSATION = Operation(
    "endConversation",
    "POST",
    f"{CONVERSATION}/end",
    Conversation.model_validate_json,
    has_body=True,
)

LIST_EVENTS: Operation[EventPage] = _get("listEvents", f"{WORKSPACE}/events", event_page)

GET_BALANCE = _get("getBalance", f"{WORKSPACE}/billing/balance", models.Balance.model_validate_json)
LIST_LEDGER_TRANSACTIONS = _get(
    "listLedgerTransactions",
    f"{WORKSPACE}/billing/ledger",
    models.LedgerTransactionPage.model_validate_json,
)

CREATE_WEBHOOK_ENDPOINT = _post(
    "createWebhookEndpoint", ENDPOINTS, models.WebhookEndpointCreated.model_validate_json
)
LIST_WEBHOOK_ENDPOINTS = _get(
    "listWebhookEndpoints", ENDPOINTS, models.WebhookEndpointPage.model_validate_json
)
GET_WEBHOOK_ENDPOINT = _get(
    "getWebhookEndpoint", ENDPOINT, models.WebhookEndpoint.model_validate_json
)
UPDATE_WEBHOOK_ENDPOINT = _patch(
    "updateWebhookEndpoint", ENDPOINT, models.WebhookEndpoint.model_validate_json
)
DELETE_WEBHOOK_ENDPOINT = _delete("deleteWebhookEndpoint", ENDPOINT)
TEST_WEBHOOK_ENDPOINT = Operation(
    "testWebhookEndpoint",
    "POST",
    f"{ENDPOINT}/test",
    models.WebhookDelivery.model_validate_json,
    is_keyed=True,
)
LIST_WEBHOOK_DELIVERIES = _get(
    "listWebhookDeliveries",
    f"{ENDPOINT}/deliveries",
    models.WebhookDeliveryPage.model_validate_json,
)
REPLAY_WEBHOOK_DELIVERY = Operation(
    "replayWebhookDelivery",
    "POST",
    f"{ENDPOINT}/deliveries/{{webhook_delivery_id}}/replay",
    models.WebhookDelivery.model_validate_json,
    is_keyed=True,
)
