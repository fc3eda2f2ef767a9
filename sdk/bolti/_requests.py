"""What requests are made of, as typed dictionaries: write plain `{…}`, and a type checker knows every member.

Only what is given is sent; what is left out has the server's default (or, in an update, stays). A settings object that was
read from an agent (`agent.stt`) can be handed back as it is. A test compares each with its schema in the contract.

No `from __future__ import annotations` here: with it a TypedDict does not see `Required` while the program runs.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Required, TypedDict

from bolti import _models as models

Variables = Mapping[str, str | int | float | bool]
"""Values for the `{{ variables }}` of an agent, by name."""


class SttSettingsInput(TypedDict, total=False):
    """Speech to text. `final_delay_ms` is a scripted delay of `simulated`."""

    provider: Required[str]
    model: str | None
    language: str | None
    final_delay_ms: int


class LlmRuleToolInput(TypedDict, total=False):
    """The tool that a rule calls: `cut_call` or one of the agent's tools."""

    name: Required[str]
    arguments: Mapping[str, Any]


class LlmRuleInput(TypedDict, total=False):
    """What the `simulated` language model does when `hear` (a regular expression) is found in what the callee said."""

    hear: Required[str]
    say: str | None
    tool: LlmRuleToolInput | models.LlmRuleTool | None


class LlmSettingsInput(TypedDict, total=False):
    """The language model. `rules`, `default_reply` and `first_token_delay_ms` are for `simulated`."""

    provider: Required[str]
    model: str | None
    temperature: float | None
    base_url: str | None
    rules: Sequence[LlmRuleInput | models.LlmRule]
    default_reply: str | None
    first_token_delay_ms: int


class TtsSettingsInput(TypedDict, total=False):
    """Text to speech. `first_audio_delay_ms` is a scripted delay of `simulated`."""

    provider: Required[str]
    model: str | None
    voice: str | None
    speed: float | None
    first_audio_delay_ms: int


class TurnSettingsInput(TypedDict, total=False):
    """When the agent takes its turn and when it gives way."""

    endpointing_min_delay_ms: int
    endpointing_max_delay_ms: int
    is_interruption_enabled: bool
    interruption_min_duration_ms: int


class AgentLimitsInput(TypedDict, total=False):
    """What ends a call if nothing else does."""

    max_duration_seconds: int
    silence_timeout_seconds: int
    ring_timeout_seconds: int


class VoicemailSettingsInput(TypedDict, total=False):
    """What the agent does with a mailbox; `leave_message` needs a `message`, which may hold `{{ variables }}`."""

    behaviour: models.VoicemailBehaviour
    message: str | None


class SilencePromptInput(TypedDict, total=False):
    """What the agent says when nobody speaks, how often in one silence (0 to 2). `text` None: in its language's words."""

    times: int
    text: str | None


class TransferTargetInput(TypedDict, total=False):
    """Where `transfer_call` may hand a call to; the language model sees the name alone."""

    name: Required[str]
    phone_number: Required[str]
    mode: models.TransferMode


class _AgentFields(TypedDict, total=False):
    is_active: bool
    system_prompt: str
    first_message: str | None
    persona: str | None
    goal: str | None
    guardrails: str | None
    primary_language: str
    timezone: str
    stt: SttSettingsInput | models.SttSettings
    llm: LlmSettingsInput | models.LlmSettings
    tts: TtsSettingsInput | models.TtsSettings
    stt_fallbacks: Sequence[SttSettingsInput | models.SttSettings]
    llm_fallbacks: Sequence[LlmSettingsInput | models.LlmSettings]
    tts_fallbacks: Sequence[TtsSettingsInput | models.TtsSettings]
    turn: TurnSettingsInput | models.TurnSettings
    limits: AgentLimitsInput | models.AgentLimits
    is_recording_enabled: bool
    disclosure_text: str | None
    opt_out_key: str | None
    built_in_tools: Sequence[models.BuiltInTool]
    tool_ids: Sequence[str]
    voicemail: VoicemailSettingsInput | models.VoicemailSettings
    is_answering_machine_detection_enabled: bool
    silence_prompt: SilencePromptInput | models.SilencePrompt
    transfer_targets: Sequence[TransferTargetInput | models.TransferTarget]


class AgentCreate(_AgentFields):
    """An agent to make. Only `name` is needed; left out, `stt`, `llm` and `tts` are the catalogue's defaults."""

    name: Required[str]


class AgentUpdate(_AgentFields, total=False):
    """What shall change. None clears what can be empty; settings objects and lists are replaced whole."""

    name: str


class HttpHeaderInput(TypedDict):
    """A header of a tool's request; the value may hold `{{ variables }}`."""

    name: str
    value: str


class ToolAuthorization(TypedDict, total=False):
    """How a tool's request proves itself; write-only. Give what belongs to `kind`: `bearer` token; `basic` username and
    password; `api_key_header` and `api_key_query` name and value; `hmac` secret."""

    kind: Required[models.ToolAuthorizationKind]
    token: str | None
    username: str | None
    password: str | None
    name: str | None
    value: str | None
    secret: str | None


class _ToolFields(TypedDict, total=False):
    method: models.HttpMethod
    timeout_ms: int
    headers: Sequence[HttpHeaderInput | models.HttpHeader]
    body_template: str | None
    input_schema: Mapping[str, Any]
    authorization: ToolAuthorization
    response_mapping: Mapping[str, str] | None


class ToolCreate(_ToolFields):
    """An HTTP request that agents can make in a call."""

    name: Required[str]
    description: Required[str]
    url: Required[str]


class ToolUpdate(_ToolFields, total=False):
    """What shall change; lists and objects are replaced whole."""

    name: str
    description: str
    url: str


class TrunkOutboundInput(TypedDict, total=False):
    """Where a trunk dials, and as whom: `host` is a name or an address, with `:port` where it is not the transport's own.
    Username and password together, or neither."""

    host: Required[str]
    transport: models.TrunkTransport
    username: str | None
    password: str | None


class TrunkInboundInput(TypedDict, total=False):
    """From where a trunk takes calls: addresses and networks (CIDR), or username and password, or both."""

    allowed_addresses: Sequence[str]
    username: str | None
    password: str | None


class _TrunkFields(TypedDict, total=False):
    outbound: TrunkOutboundInput | None
    inbound: TrunkInboundInput | None
    codecs: Sequence[models.TrunkCodec]


class TrunkCreate(_TrunkFields):
    """A SIP trunk of your own."""

    name: Required[str]


class TrunkUpdate(_TrunkFields, total=False):
    """What shall change; `outbound` and `inbound` are replaced whole, None takes the ability away."""

    name: str


class WebhookEndpointUpdate(TypedDict, total=False):
    """What shall change. `status="enabled"` starts a disabled one again."""

    url: str
    event_types: Sequence[models.WebhookEventType]
    description: str
    status: models.WebhookEndpointStatus
    has_legacy_headers: bool


class WorkspaceUpdate(TypedDict, total=False):
    """What shall change."""

    name: str
    max_concurrent_calls: int


class Simulation(TypedDict, total=False):
    """What the simulated network does with this call: a built-in callee by name, or `script`, a scenario of your own in
    YAML, not both."""

    scenario: models.SimulationScenario | None
    script: str | None
    line: models.SimulationLine


Instant = datetime | str
"""RFC 3339, or an aware `datetime`."""
