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


class RoomWorker(_Message, frozen=True):
    """What a worker that takes calls in rooms says of itself with each claim, for `bolti-server doctor`."""

    url: str  # its LIVEKIT_URL
    is_registered: bool  # with that LiveKit, now
    warm: int  # processes that wait for a call, ready
    warm_wanted: int  # BOLTI_WORKER_WARM


# POST /internal/claim  (Authorization: Bearer BOLTI_WORKER_TOKEN) -> ClaimAnswer; long poll of CLAIM_WAIT_SECONDS
class ClaimRequest(_Message, frozen=True):
    worker_id: str
    name: str
    capacity: int  # free places; the answer holds at most this many
    text_capacity: int = 0  # and as many more calls on text lines
    rooms: RoomWorker | None = None  # None: it carries simulated lines only


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
    """`kind`: in the worker itself (simulated), in a LiveKit room with a SIP participant (room) or a browser (browser)."""

    kind: Literal["simulated", "room", "browser"]
    from_number: str | None
    to_number: str | None
    # Of the simulated network. Name of a built-in callee; None: the last two digits of to_number choose.
    scenario: str | None = None
    script: str | None = None  # a scenario in YAML, checked at the edge; then it is the callee
    is_text: bool = False  # words alone, in virtual time
    is_simulated: bool = (
        True  # the other side is of the simulated network, in whatever kind of line
    )
    room: str | None = None  # its name, of a room and a browser


class Takeover(_Message, frozen=True):
    """An agent before this one was lost after it had asked to dial: the line, if it is still there, is taken over, and
    nothing is dialed."""

    answered_ms_ago: int | None  # None: nobody had answered yet
    turn_count: int = 0  # turns that the record has: the next has this index


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
    is_cap_shortened: bool  # by the balance
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
    takeover: Takeover | None = None
    opt_out_key: str | None = None  # whoever presses it wants no calls: the agent hangs up

    @property
    def code_at_cap(self) -> str:
        """Why a call ends that has talked for `max_duration_seconds`."""
        return "credits_exhausted" if self.is_cap_shortened else "max_duration"


# POST /internal/conversations/{id}/dial-intent -> DialIntentAnswer, or 409 to anyone but the nonce that won
class DialIntent(_Message, frozen=True):
    epoch: int
    nonce: str  # of the process; the same nonce gets `send` again


class SipTrunk(_Message, frozen=True):
    """Where and as whom to dial. A secret: it is told to the one who dials, when it dials, and never stands in a spec."""

    host: str  # with :port where it is not the transport's own
    transport: Literal["udp", "tcp", "tls"]
    username: str | None = None
    password: str | None = None
    codecs: list[str] = []  # PCMU, PCMA, G722, best first; empty: all that the SIP service knows


class DialIntentAnswer(_Message, frozen=True):
    answer: Literal["send"]
    trunk: SipTrunk | None = None  # of a call in a room that is dialed


# POST /internal/conversations/{id}/transfer-intent -> TransferIntentAnswer, or 409
class TransferIntent(_Message, frozen=True):
    epoch: int
    tool_call_id: str  # of the transfer_call that the server has answered with mode warm


class TransferIntentAnswer(_Message, frozen=True):
    """By what the target of a warm transfer is called into the call."""

    trunk: SipTrunk | None  # None: the line needs none
    from_number: str  # the call's own number, which the target sees


# The metadata of an agent's job in a room: what the server's dispatch (conversation_id, epoch, token) or the SIP service's
# dispatch rule (trunk_id) hands to whichever worker gets it.
class JobMetadata(_Message, frozen=True):
    conversation_id: str | None = None
    epoch: int = 0
    token: str | None = None  # as in Claimed
    trunk_id: str | None = None  # a call that comes in by this trunk: ask the server whose it is


# POST /internal/inbound  (Authorization: Bearer BOLTI_WORKER_TOKEN) -> InboundAnswer; repeating it is safe (sip_call_id)
class InboundCall(_Message, frozen=True):
    """A call that rings in a room and is not answered yet."""

    worker_id: str
    room: str
    sip_call_id: str
    trunk_id: str  # ours, as the dispatch rule's metadata says
    from_number: str  # as the SIP service told it; may be no number at all (anonymous)
    to_number: str


class InboundAnswer(_Message, frozen=True):
    """`claimed`: answer the call (subscribe to the caller) when the agent is ready. None: refuse it, with `code`."""

    claimed: Claimed | None
    code: str | None = None  # a hangup code
    detail: str | None = None


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
    # The agent is gone and has left the other side where it is, in the room: another may take the call over.
    is_line_open: bool = False
    # Of media_unavailable: the SIP service took nothing over, so that another may dial.
    is_nothing_sent: bool = False
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
