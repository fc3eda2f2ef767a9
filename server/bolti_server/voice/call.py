"""One call, from "agent ready" to goodbye, on any line.

Rules: the agent is ready to speak before anybody is dialed; the intent to dial is committed before it is dialed, and it
is dialed at most once. Every wait has a limit. Whatever happens (a busy callee, a failed model, a bug of ours), the line
is hung up and exactly one `ended` is reported, after everything else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Any

from livekit.agents import AgentSession, CloseEvent, CloseReason, JobContext

from bolti_server.base.logging import get_logger
from bolti_server.lines.line import CallLine, DialFailed, LineNotReady
from bolti_server.models.unavailable import ModelUnavailable
from bolti_server.voice.commands import Commands
from bolti_server.voice.ending import End, Ending
from bolti_server.voice.failures import Failures
from bolti_server.voice.handover import Handover
from bolti_server.voice.limits import end_at_cap, end_at_silence
from bolti_server.voice.llm_chain import LlmChain
from bolti_server.voice.models import Models
from bolti_server.voice.recording import Recording
from bolti_server.voice.server import CallServer
from bolti_server.voice.session import CallAgent, build_session
from bolti_server.voice.silent_agent import SilentAgent
from bolti_server.voice.speaking import Speaker
from bolti_server.voice.stt_chain import SttChain
from bolti_server.voice.tasks import CallTasks
from bolti_server.voice.tools import tools_of
from bolti_server.voice.tts_chain import TtsChain
from bolti_server.voice.turns import Turns
from bolti_server.voice.usage import Usage
from bolti_server.voice.voicemail import Voicemail
from bolti_server.worker_api.errors import CallLost, NotAuthorized, ServerUnreachable
from bolti_server.worker_api.messages import CallSpec, EndReport, SipTrunk

PREPARE_SECONDS = (
    12.0  # models, session, greeting: the server gives an agent 15 s before it takes another
)
DIAL_SLACK_SECONDS = 15.0  # beyond the line's own ring time-out
SEND_SECONDS = 8.0  # from asking to dialing: a process that was held up longer may be taken for dead, and must not dial
HANGUP_SECONDS = 5.0
CLOSE_SECONDS = 8.0

log = get_logger("voice")


async def run_call(
    ctx: JobContext, line: CallLine, spec: CallSpec, server: CallServer, models: Models
) -> None:
    """Carries the call and returns when it is over and reported. Raises nothing but CancelledError, after cleaning up.

    Runs in a job's context (`fake_job_context` will do) with an open `http_context`.
    """
    call = _Call(line, spec, server, models)
    log.info("call_begins", conversation_id=spec.conversation_id, job_id=ctx.job.id)
    try:
        await call.run()
    except asyncio.CancelledError:
        call.ending.decide("agent_lost", "The worker was stopped.")
        raise
    finally:
        await call.close()


class _Call:
    def __init__(self, line: CallLine, spec: CallSpec, server: CallServer, models: Models) -> None:
        self.ending = Ending()
        self._line = line
        self._spec = spec
        self._server = server
        self._models = models
        self._tasks = CallTasks(spec.conversation_id, self.ending)
        self._turns = Turns(server, spec.takeover)
        self._commands = Commands(server, self.ending, self._tasks.spawn)
        self._session: AgentSession[Any] | None = None
        self._speaker: Speaker | None = None
        self._failures: Failures | None = None
        self._recording: Recording | None = None
        self._voicemail: Voicemail | None = None
        self._usage: Usage | None = None
        self._handover: Handover | None = None
        self._silence: asyncio.Task[None] | None = None
        self._is_answered = False
        self._is_line_open = False
        self._may_be_on_the_line = spec.takeover is not None or spec.direction == "inbound"

    async def run(self) -> None:
        """Returns when something has ended the call."""
        self._tasks.spawn("follow commands", self._commands.follow())
        work = asyncio.create_task(self._work(), name=f"call {self._spec.conversation_id}")
        over = asyncio.create_task(self.ending.wait())
        try:
            await asyncio.wait({work, over}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                return
            self._understand(work.exception())
            await over
        finally:
            over.cancel()
            work.cancel()
            await asyncio.wait({work}, timeout=HANGUP_SECONDS)

    def _understand(self, problem: BaseException | None) -> None:
        match problem:
            case None:
                return
            case DialFailed():
                self.ending.decide(
                    problem.code,
                    problem.detail,
                    problem.sip_status,
                    provider_code=problem.provider_code,
                    is_nothing_sent=problem.is_nothing_sent,
                )
            case LineNotReady():
                self.ending.decide("agent_lost", str(problem))
            case ModelUnavailable():
                self.ending.decide("model_error", str(problem))
            case CallLost() | NotAuthorized():
                self.ending.decide("agent_lost", "The server gave this call to another agent.")
            case ServerUnreachable():
                self.ending.decide(
                    "agent_lost",
                    f"The server can't be reached, so nothing was dialed: {problem}",
                )
            case _:
                log.error(
                    "call_failed", conversation_id=self._spec.conversation_id, exc_info=problem
                )
                self.ending.decide("agent_lost", f"A fault of ours: {type(problem).__name__}")

    async def _work(self) -> None:
        try:
            async with asyncio.timeout(PREPARE_SECONDS):
                await self._prepare()
        except TimeoutError:
            self.ending.decide(
                "agent_lost", f"The agent was not ready within {PREPARE_SECONDS:.0f} s."
            )
            return
        self._server.report("agent_ready")
        trunk = None if self._may_be_on_the_line else await self._ask_to_dial()
        self._may_be_on_the_line = True
        try:
            async with asyncio.timeout(self._spec.ring_timeout_seconds + DIAL_SLACK_SECONDS):
                await self._line.connect(trunk)
        except TimeoutError:
            self.ending.decide("outcome_unknown", "The line did not say what became of the dial.")
            return
        await self._answered()

    async def _ask_to_dial(self) -> SipTrunk | None:
        began = time.monotonic()
        trunk = await self._server.dial_intent()
        if time.monotonic() - began > SEND_SECONDS:
            raise CallLost("the permission to dial came too late")
        return trunk

    async def _prepare(self) -> None:
        models = self._models.build(self._spec, self._line)
        await models.check()
        self._usage = Usage(models.stt, models.llm, models.tts)
        ear, voice = SttChain(models.stt), TtsChain(models.tts)
        session = build_session(self._spec, models, ear)
        speaker = Speaker(session, voice, self._spec)
        failures = Failures(models, self.ending, speaker, ear, self._tasks.spawn)
        self._listen(session, failures)
        options = await self._line.attach(session)
        voice.play_at(session.output.audio)
        self._voicemail = Voicemail(self._spec, session, speaker, self.ending, self._tasks.spawn)
        if self._spec.is_recording_enabled:
            self._recording = Recording(session, self._server.recording_file())
        self._handover = Handover(
            speaker,
            self.ending,
            self._recording,
            self._tasks.spawn,
            lambda: self._fall_silent(speaker, SilentAgent(voice, failures, speaker.agent_is_here)),
        )
        tools = tools_of(
            self._spec.tools,
            self._server,
            self._turns,
            self.ending,
            self._line,
            speaker,
            self._handover,
        )
        self._session, self._speaker, self._failures = session, speaker, failures
        await session.start(
            CallAgent(self._spec, tools, LlmChain(models.llm), voice, failures, self._voicemail),
            record=False,
            **options,
        )
        await speaker.warm()
        await self._line.ready()

    def _listen(self, session: AgentSession[Any], failures: Failures) -> None:
        session.on("error", failures.on_error)
        session.on("user_transcription_timeout", failures.on_deaf)
        session.on("user_input_transcribed", failures.on_words)
        session.on("user_state_changed", failures.on_callee_state)
        session.on("agent_state_changed", failures.on_agent_state)
        session.on("close", self._on_close)
        self._line.on_ringing(lambda: self._server.report("ringing"))
        self._line.on_left(self._on_left)
        self._line.on_dtmf(self._keys_pressed)

    def _keys_pressed(self, digits: str) -> None:
        self._turns.keys_pressed(digits)
        if not self._is_handed_over:  # then they are for somebody else
            self.ending.opted_out(self._spec.opt_out_key, digits)

    def _fall_silent(self, speaker: Speaker, silent: SilentAgent) -> None:
        if self._silence is not None:
            self._silence.cancel()  # who hears nobody can't tell a silence
        speaker.change_agent(silent)

    @property
    def _is_handed_over(self) -> bool:
        return self._handover is not None and self._handover.is_done

    def _on_left(self, code: str) -> None:
        if self._handover is not None and self._handover.is_done:
            self._handover.left(code)
        elif self._voicemail is None:
            self.ending.decide(code)
        else:
            self._voicemail.left(code)

    def _on_close(self, event: CloseEvent) -> None:
        if event.reason == CloseReason.ERROR:
            self.ending.decide("model_error", f"The agent's session closed: {event.error}"[:300])

    async def _answered(self) -> None:
        assert self._session is not None
        assert self._speaker is not None
        assert self._failures is not None
        assert self._voicemail is not None
        self._is_answered = True
        self._server.report("answered")
        self._turns.begin(self._session)
        if self._recording is not None:
            await self._recording.start()
        self._speaker.greet()
        self._failures.answered()
        self._commands.answered(self._speaker, self._handover)
        self._tasks.spawn("end at cap", end_at_cap(self._spec, self.ending))
        self._voicemail.answered()
        self._silence = self._tasks.spawn(
            "end at silence",
            end_at_silence(self._session, self._spec, self.ending, self._speaker),
        )

    async def close(self) -> None:
        """Hangs up, closes everything within its limits, and reports the end."""
        end = self.ending.end or End(code="agent_lost", detail="The call ended without a reason.")
        if self._speaker is not None and self._is_answered:
            await self._bounded("stop speaking", self._speaker.stop(), HANGUP_SECONDS)
        is_line_open = await self._let_go(end)
        has_recording = self._recording is not None and await self._recording.close()
        if self._session is not None:
            await self._bounded("close the session", self._session.aclose(), CLOSE_SECONDS)
        self._turns.finish()
        usage = [] if self._usage is None else self._usage.report()
        self._server.report(
            "ended",
            ended=EndReport(
                code=end.code,
                detail=end.detail,
                sip_status=end.sip_status,
                usage=usage,
                provider_code=end.provider_code,
                has_recording=has_recording,
                is_message_left=end.is_message_left,
                is_line_open=is_line_open,
                is_nothing_sent=end.is_nothing_sent,
            ),
            age_seconds=time.monotonic() - end.at,
        )
        await (
            self._tasks.cancel()
        )  # last: a heartbeat that stops before the end is told looks like a lost worker
        log.info("call_ended", conversation_id=self._spec.conversation_id, code=end.code)

    async def _let_go(self, end: End) -> bool:
        """Hangs up. An agent that is lost (or was replaced) leaves instead, so that another can go on with the callee.
        True: somebody may still be on the line, for another agent."""
        if end.is_line_kept:
            await self._bounded("leave", self._leave(), HANGUP_SECONDS)
            return False
        if end.code != "agent_lost" or end.is_goodbye_said:
            await self._bounded("hang up", self._line.hangup(), HANGUP_SECONDS)
            return False
        await self._bounded("leave", self._leave(), HANGUP_SECONDS)
        return self._may_be_on_the_line and self._is_line_open

    async def _leave(self) -> None:
        self._is_line_open = await self._line.leave()

    async def _bounded(self, what: str, work: Awaitable[None], seconds: float) -> None:
        """An end must not fail by its own cleaning up: what goes wrong here is logged, and the next step is taken."""
        try:
            async with asyncio.timeout(seconds):
                await work
        except Exception:
            log.exception("cleanup_failed", step=what, conversation_id=self._spec.conversation_id)
