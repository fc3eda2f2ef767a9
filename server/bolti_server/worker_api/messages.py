"""What worker and server say to each other: the types of the internal API, protocol version 1.

Rule: a worker never touches the database and a server never touches audio. Each call is fenced by its `epoch`: reports,
intents and tool calls of an older epoch are refused with 409. Reports are numbered 1, 2, 3 … per (conversation,
epoch), contiguous; repeating any is safe.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

PROTOCOL_HEADER = "Bolti-Worker-Protocol"
PROTOCOL_VERSION = "1"
CLAIM_WAIT_SECONDS = 10.0
HEARTBEAT_WAIT_SECONDS = 10.0


class _Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    pass


# POST /internal/claim  (Authorization: Bearer BOLTI_WORKER_TOKEN) -> ClaimAnswer; long poll of CLAIM_WAIT_SECONDS
class ClaimRequest(_Message, frozen=True):
    worker_id: str
    name: str
    capacity: int  # free places; the answer holds at most this many
    text_capacity: int = 0  # and as many more calls on text lines


class Claimed(_Message, frozen=True):
    conversation_id: str
    epoch: int
    token: str  # minted for this conversation and epoch: Bearer for every call below
    spec: CallSpec | None = None  # of a text call: it need not be asked for


class ClaimAnswer(_Message, frozen=True):
    claimed: list[Claimed]


# GET /internal/conversations/{id}/spec -> CallSpec
class SttSpec(_Message, frozen=True):
    provider: str
    model: str | None = None
    language: str | None = None
    final_delay_ms: int = 0  # simulated only: a scripted delay of the final transcript


class RuleTool(_Message, frozen=True):
    name: str
    arguments: dict[str, Any] = {}


class LlmRule(_Message, frozen=True):
    hear: str  # regular expression, searched in the last user turn, ignoring case
    say: str | None = None
    tool: RuleTool | None = None


class LlmSpec(_Message, frozen=True):
    provider: str
    model: str | None = None
    temperature: float | None = None
    base_url: str | None = None
    rules: list[LlmRule] = []  # simulated only
    default_reply: str | None = None  # simulated only
    first_token_delay_ms: int = 0  # simulated only


class TtsSpec(_Message, frozen=True):
    provider: str
    model: str | None = None
    voice: str | None = None
    speed: float | None = None
    first_audio_delay_ms: int = 0  # simulated only


class TurnSpec(_Message, frozen=True):
    endpointing_min_delay_ms: int = 300
    endpointing_max_delay_ms: int = 1000
    is_interruption_enabled: bool = True
    interruption_min_duration_ms: int = 300


class VoicemailSpec(_Message, frozen=True):
    behaviour: Literal["hang_up", "leave_message", "continue"] = "hang_up"
    message: str | None = None


class SilencePromptSpec(_Message, frozen=True):
    times: int = 0  # in one silence; 0: never
    text: str | None = None  # None: the phrase of the agent's language


class ToolSpec(_Message, frozen=True):
    """What the LLM sees of a tool: name, description and parameters only."""

    name: str
    description: str
    parameters: dict[str, Any]  # JSON Schema of an object
    is_built_in: bool = False
    timeout_ms: int = 15000


class LineSpec(_Message, frozen=True):
    kind: Literal["simulated"]
    from_number: str
    to_number: str
    # Name of a built-in callee; None: the last two digits of to_number choose.
    scenario: str | None = None
    script: str | None = None  # a scenario in YAML, checked at the edge; then it is the callee
    is_text: bool = False  # words alone, in virtual time


class SpokenTurn(_Message, frozen=True):
    """A turn of the transcript so far, for an agent that replaces another."""

    role: str
    text: str


class CallSpec(_Message, frozen=True):
    conversation_id: str
    epoch: int
    direction: Literal["outbound", "inbound", "web"]
    agent_name: str
    instructions: str  # variables resolved: the LLM never sees braces
    greeting: str | None
    disclosure_text: str | None
    primary_language: str
    timezone: str
    stt: SttSpec
    llm: LlmSpec
    tts: TtsSpec
    turn: TurnSpec
    tools: list[ToolSpec]
    line: LineSpec
    ring_timeout_seconds: int
    max_duration_seconds: int
    # The balance had shortened the cap: at the cap the code is credits_exhausted.
    is_cap_shortened: bool
    silence_timeout_seconds: int
    is_recording_enabled: bool
    transcript_so_far: list[SpokenTurn] = []
    # Asked in this order when the one above fails, or is too slow to answer.
    stt_fallbacks: list[SttSpec] = []
    llm_fallbacks: list[LlmSpec] = []
    tts_fallbacks: list[TtsSpec] = []
    voicemail: VoicemailSpec = VoicemailSpec()
    is_answering_machine_detection_enabled: bool = False
    silence_prompt: SilencePromptSpec = SilencePromptSpec()


# POST /internal/conversations/{id}/dial-intent -> DialIntentAnswer, or 409 to anyone but the nonce that won
class DialIntent(_Message, frozen=True):
    epoch: int
    nonce: str  # of the process; the same nonce gets `send` again


class DialIntentAnswer(_Message, frozen=True):
    answer: Literal["send"]


# POST /internal/conversations/{id}/reports -> ReportsAnswer
class TurnLatency(_Message, frozen=True):
    """Milliseconds; None where the session reported nothing (e.g. a greeting has no end of turn)."""

    end_of_turn_ms: int | None = None
    transcription_ms: int | None = None
    llm_first_token_ms: int | None = None
    tts_first_audio_ms: int | None = None
    playback_ms: int | None = None
    end_to_end_ms: int | None = None


class ToolCallReport(_Message, frozen=True):
    name: str
    arguments: dict[str, Any]
    result: Any = None
    is_error: bool = False
    duration_ms: int = 0


class TurnReport(_Message, frozen=True):
    """One side spoke once. Times are ms since the answer; `text` is as heard (cut where it was interrupted)."""

    turn_index: int
    role: Literal["agent", "user"]
    text: str
    start_ms: int
    end_ms: int
    is_interrupted: bool = False
    latency: TurnLatency | None = None
    tool_calls: list[ToolCallReport] = []
    dtmf: str | None = None


class UsageReport(_Message, frozen=True):
    """Used of one model; counts that do not apply are 0."""

    component: Literal["stt", "llm", "tts"]
    provider: str
    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    characters: int = 0
    audio_ms: int = 0


class EndReport(_Message, frozen=True):
    """`code` is a hangup code of product.md (`calls.lifecycle` knows them all)."""

    code: str
    detail: str | None = None
    sip_status: int | None = None
    provider_code: str | None = None
    usage: list[UsageReport] = []
    has_recording: bool = False
    is_message_left: bool = False  # in a mailbox: then calling again is no use
    # Of a text line alone: from the answer to the end, in its own time.
    virtual_ms: int | None = None


ReportType = Literal["agent_ready", "ringing", "answered", "turn", "tool_call", "ended"]


class Report(_Message, frozen=True):
    """`at_ms`: milliseconds that had passed on the worker since the report was made, when it was sent (age), so that
    the server's clock alone decides instants. Exactly the member that belongs to `type` is set."""

    number: int
    type: ReportType
    age_ms: int = 0
    turn: TurnReport | None = None
    tool_call: ToolCallReport | None = None
    ended: EndReport | None = None


class Reports(_Message, frozen=True):
    epoch: int
    reports: list[Report]


class ReportsAnswer(_Message, frozen=True):
    applied_through: int  # everything up to this number is kept: the spool may drop it
    wanted: int | None = None  # a gap: send again from this number


# POST /internal/conversations/{id}/tools -> ToolAnswer   (the server sends the request; secrets never reach a worker)
class ToolRequest(_Message, frozen=True):
    epoch: int
    tool_call_id: str  # made by the worker; a repeat gets the first result
    name: str
    arguments: dict[str, Any]


class ToolAnswer(_Message, frozen=True):
    result: Any
    is_error: bool
    duration_ms: int


# GET /internal/conversations/{id}/commands?epoch=&after= -> CommandsAnswer; long poll of HEARTBEAT_WAIT_SECONDS: heartbeat
class Command(_Message, frozen=True):
    number: int
    type: Literal["end", "say_then_end", "drain"]
    text: str | None = None
    code: str | None = None  # the hangup code that the worker shall report, e.g. ended_by_user


class CommandsAnswer(_Message, frozen=True):
    commands: list[Command]
    # The server has closed this conversation or another epoch owns it: hang up, stop.
    is_over: bool = False


# PUT /internal/conversations/{id}/recording?epoch=   body: Ogg/Opus bytes -> RecordingAnswer; repeating is safe
class RecordingAnswer(_Message, frozen=True):
    bytes: int
