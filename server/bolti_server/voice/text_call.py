"""One call on a text line, from "agent ready" to goodbye: no sound, in virtual time.

Rules: it keeps what `voice/call.py` keeps: the intent to dial is committed before anybody is dialed, every wait ends, and
exactly one `ended` is reported, after everything else. Turns, latency and the length of the call are told in the line's own
time; the instants of the record are the real ones. What may differ from the audio line is in docs/guides/text-line.md.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

from bolti_server.base.logging import get_logger
from bolti_server.lines.line import DialFailed
from bolti_server.models.unavailable import ModelUnavailable
from bolti_server.simulated.text.clock import VirtualClock
from bolti_server.simulated.text.line import Speech, TextLine
from bolti_server.voice.commands import Commands
from bolti_server.voice.ending import End, Ending
from bolti_server.voice.fallback import is_final
from bolti_server.voice.limits import prompt_instants
from bolti_server.voice.phone_tools import keys_of
from bolti_server.voice.phrases import phrases_in
from bolti_server.voice.server import CallServer
from bolti_server.voice.tasks import CallTasks
from bolti_server.voice.text_models import TextModel, ToolCall
from bolti_server.voice.text_turns import TextTurns
from bolti_server.worker_api.errors import CallLost, NotAuthorized, ServerUnreachable
from bolti_server.worker_api.messages import CallSpec, EndReport, ToolCallReport, UsageReport

OPENING_MS = 20  # from the answer to the agent's first sound, on the audio line
MAX_TOOL_STEPS = 5
MOST_FAILURES = 2  # of the model in a row
# A call that takes real time (a vendor's model, a slow tool) tells the server that it is alive from here on.
HEARTBEAT_AFTER_SECONDS = 3.0
PREPARE_SECONDS = 12.0  # as voice.call: the server gives an agent 15 s
STOP_SECONDS = 5.0

log = get_logger("voice")


async def run_text_call(
    spec: CallSpec,
    server: CallServer,
    make_model: Callable[[], Awaitable[TextModel]],
    *,
    heartbeat_after_seconds: float = HEARTBEAT_AFTER_SECONDS,
) -> None:
    """Carries the call and returns when it is over and reported. Raises nothing but CancelledError, after cleaning up.

    `make_model` may raise ModelUnavailable: then nobody is dialed.
    """
    call = _TextCall(spec, server, make_model)
    try:
        await call.run(heartbeat_after_seconds)
    except asyncio.CancelledError:
        call.ending.decide("agent_lost", "The worker was stopped.")
        raise
    finally:
        await call.close()


class _TextEnding(Ending):
    """When the end is decided the line's time stands still: nothing more is said or heard."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def decide(
        self,
        code: str,
        detail: str | None = None,
        sip_status: int | None = None,
        *,
        is_message_left: bool = False,
    ) -> bool:
        self._clock.stop()
        return super().decide(code, detail, sip_status, is_message_left=is_message_left)


class _TextCall:
    def __init__(
        self, spec: CallSpec, server: CallServer, make_model: Callable[[], Awaitable[TextModel]]
    ) -> None:
        self._spec, self._server = spec, server
        self._make_model = make_model
        self._made: TextModel | None = None
        clock = VirtualClock()
        self.ending: Ending = _TextEnding(clock)
        self._clock = clock
        speed = spec.tts.speed or 1.0
        self._line = TextLine(
            spec.line,
            spec.turn,
            clock,
            ring_timeout_seconds=spec.ring_timeout_seconds,
            agent_speed=speed,
        )
        self._turns = TextTurns(spec, server, self._line)
        self._tasks = CallTasks(spec.conversation_id, self.ending)
        self._commands = Commands(server, self.ending, self._tasks.spawn)
        self._work: asyncio.Task[None] | None = None
        self._is_answered = False
        self._failures = 0
        self.phrases = phrases_in(spec.primary_language)

    async def run(self, heartbeat_after_seconds: float) -> None:
        """Returns when something has ended the call."""
        heartbeat = asyncio.get_running_loop().call_later(
            heartbeat_after_seconds,
            lambda: self._tasks.spawn("follow commands", self._commands.follow()),
        )
        work = self._work = asyncio.create_task(self._carry(), name="text call")
        over = asyncio.create_task(self.ending.wait())
        try:
            await asyncio.wait({work, over}, return_when=asyncio.FIRST_COMPLETED)
            if work.done() and not work.cancelled():
                self._understand(work.exception())
            await over
        finally:
            heartbeat.cancel()
            over.cancel()
            work.cancel()
            await asyncio.wait({work}, timeout=STOP_SECONDS)

    async def _carry(self) -> None:
        line = self._line
        line.on_ringing = lambda: self._server.report("ringing")
        line.on_left = lambda code: _ignore(self.ending.decide(code))
        line.on_key = self._turns.key_pressed
        try:
            async with asyncio.timeout(PREPARE_SECONDS):
                self._made = await self._make_model()
        except TimeoutError:
            raise ModelUnavailable(
                f"The model was not ready within {PREPARE_SECONDS:.0f} s."
            ) from None
        self._server.report("agent_ready")
        await self._server.dial_intent()
        await line.connect()
        self._is_answered = True
        self._server.report("answered")
        self._commands.answered(self)
        self._clock.at(self._clock.now_ms + 1000 * self._spec.max_duration_seconds, self._reach_cap)
        await line.pass_time(OPENING_MS)
        await self._open()
        await self._talk()

    def _reach_cap(self) -> None:
        self.ending.decide("credits_exhausted" if self._spec.is_cap_shortened else "max_duration")

    async def _open(self) -> None:
        spec = self._spec
        texts = [(spec.disclosure_text, False), (spec.greeting, spec.turn.is_interruption_enabled)]
        for text, may_be_interrupted in texts:
            if text and not spec.transcript_so_far:
                await self._say(text, may_be_interrupted=may_be_interrupted)

    async def _talk(self) -> None:
        while True:
            turn = await self._listen()
            if turn is None:
                self.ending.decide("silence_timeout")
                return
            late_ms = self._spec.stt.final_delay_ms - self._spec.turn.endpointing_min_delay_ms
            if late_ms > 0:
                await self._line.pass_time(late_ms)
            self._turns.user_said(turn)
            self._model.heard(turn.text)
            await self._answer()

    async def _listen(self) -> Speech | None:
        """The callee's next turn; None after a silence in which the agent has asked in vain, where it is to ask."""
        spec, silent_ms = self._spec, 0
        asks = prompt_instants(spec.silence_timeout_seconds, spec.silence_prompt.times)
        for seconds in (*asks, None):
            limit_ms = round(1000 * (spec.silence_timeout_seconds if seconds is None else seconds))
            turn = await self._line.listen(silence_ms=limit_ms - silent_ms)
            if turn is not None or seconds is None:
                return turn
            silent_ms = limit_ms
            await self._say(
                spec.silence_prompt.text or self.phrases.still_there,
                may_be_interrupted=spec.turn.is_interruption_enabled,
            )
        raise AssertionError("the last limit returns")

    async def _answer(self) -> None:
        """The agent's answer with all the tools that it takes; given up where the callee goes on talking."""
        for _ in range(MAX_TOOL_STEPS + 1):
            try:
                reply = await self._model.reply()
            except Exception as error:  # noqa: BLE001 - the edge to a vendor's plugin, which may raise anything
                await self._fail(error)
                return
            self._failures = 0
            self._turns.thought(reply.first_token_ms)
            await self._line.pass_time(reply.first_token_ms)
            goodbye = next((call for call in reply.calls if call.name == "cut_call"), None)
            if goodbye is not None:
                await self._cut_call(goodbye, reply.words)
                return
            began_ms = self._line.now_ms
            keys = [call for call in reply.calls if call.name == "send_dtmf"]
            calls = [call for call in reply.calls if call.name != "send_dtmf"]
            tools_ms = 0
            for call in calls:
                tools_ms = max(tools_ms, await self._call_tool(call))
            if reply.words and not await self._speak(reply.words):
                return
            refused = [call for call in keys if not self._press(call)]
            if not calls and not refused:
                return
            left_ms = began_ms + tools_ms - self._line.now_ms
            if left_ms > 0:
                await self._line.pass_time(left_ms)

    async def _speak(self, words: str) -> bool:
        """Whether all of it was said."""
        await self._line.pass_time(self._spec.tts.first_audio_delay_ms)
        if self._line.is_callee_speaking:
            return False  # it went on while the agent thought: what it says now is answered
        return not await self._say(
            words, may_be_interrupted=self._spec.turn.is_interruption_enabled
        )

    async def _say(self, words: str, *, may_be_interrupted: bool) -> bool:
        """Whether the callee interrupted it."""
        speech = await self._line.say(words, may_be_interrupted=may_be_interrupted)
        self._agent_said(speech)
        return speech.is_interrupted

    def _agent_said(self, speech: Speech) -> None:
        self._turns.agent_said(speech)
        if speech.text:
            self._model.said(speech.text)

    async def _cut_call(self, call: ToolCall, words: str) -> None:
        """The goodbye is said to its end, whatever the callee says."""
        self._turns.tool_called(ToolCallReport(name=call.name, arguments=call.arguments))
        if words:
            await self._line.pass_time(self._spec.tts.first_audio_delay_ms)
            await self._say(words, may_be_interrupted=False)
        reason = call.arguments.get("reason")
        self.ending.decide("agent_hangup", str(reason)[:300] if reason else None)

    def _press(self, call: ToolCall) -> bool:
        """Whether keys were pressed; then no answer of the model is wanted: a menu speaks next."""
        digits = keys_of(str(call.arguments.get("digits", "")))
        if digits is None:
            words = "Nothing was pressed: digits are 0-9, *, #, A-D, and w for a pause."
            report = ToolCallReport(
                name=call.name, arguments=call.arguments, result={"error": words}, is_error=True
            )
            self._turns.tool_called(report)
            self._model.answered(call, words, is_error=True)
            return False
        self._line.press(digits)
        report = ToolCallReport(name=call.name, arguments=call.arguments, result={"sent": digits})
        self._turns.tool_called(report)
        self._turns.keys_sent(digits)
        self._model.answered(call, json.dumps({"sent": digits}), is_error=False)
        return True

    async def _call_tool(self, call: ToolCall) -> int:
        """The milliseconds that it took; the model gets its answer."""
        spec = next((tool for tool in self._spec.tools if tool.name == call.name), None)
        if spec is None:
            self._model.answered(call, f"There is no tool {call.name}.", is_error=True)
            return 0
        answer = await self._server.call_tool(
            call.id, call.name, call.arguments, spec.timeout_ms / 1000
        )
        self._turns.tool_called(
            ToolCallReport(
                name=call.name,
                arguments=call.arguments,
                result=answer.result,
                is_error=answer.is_error,
                duration_ms=answer.duration_ms,
            )
        )
        text = answer.result if isinstance(answer.result, str) else json.dumps(answer.result)
        self._model.answered(call, text, is_error=answer.is_error)
        return answer.duration_ms

    async def _fail(self, error: Exception) -> None:
        """One failed answer is asked for again; what fails for good ends the call after an apology."""
        self._failures += 1
        detail = str(error)[:300] or type(error).__name__
        log.warning("model_failed", component="llm", count=self._failures, detail=detail)
        if not is_final(error) and self._failures < MOST_FAILURES:
            await self._speak(self.phrases.ask_again)
            return
        await self._say(self.phrases.apology, may_be_interrupted=False)
        self.ending.decide("model_error", f"llm of {self._spec.llm.provider} failed: {detail}")

    async def say_to_end(self, text: str, within_seconds: float) -> None:
        """`voice.commands`: stops what goes on, and says `text` to its end."""
        assert self._work is not None, "a command comes to a call that runs"
        self._work.cancel()
        await asyncio.wait({self._work}, timeout=within_seconds)
        self._break_off()
        await self._say(text, may_be_interrupted=False)

    def _understand(self, problem: BaseException | None) -> None:
        match problem:
            case None:
                return
            case DialFailed():
                self.ending.decide(problem.code, problem.detail, problem.sip_status)
            case ModelUnavailable():
                self.ending.decide("model_error", str(problem))
            case CallLost() | NotAuthorized():
                self.ending.decide("agent_lost", "The server gave this call to another agent.")
            case ServerUnreachable():
                detail = f"The server can't be reached, so nothing was dialed: {problem}"
                self.ending.decide("agent_lost", detail)
            case _:
                call_id = self._spec.conversation_id
                log.error("call_failed", conversation_id=call_id, exc_info=problem)
                self.ending.decide("agent_lost", f"A fault of ours: {type(problem).__name__}")

    def _break_off(self) -> None:
        speech = self._line.break_off()
        if speech is not None:
            self._agent_said(speech)

    async def close(self) -> None:
        """Hangs up and reports the end."""
        end = self.ending.end or End(code="agent_lost", detail="The call ended without a reason.")
        await self._line.hangup()
        if self._is_answered:
            self._break_off()
            self._turns.finish()
        ended = EndReport(
            code=end.code,
            detail=end.detail,
            sip_status=end.sip_status,
            usage=self._usage(),
            virtual_ms=self._line.now_ms if self._is_answered else None,
        )
        self._server.report("ended", ended=ended)
        await self._tasks.cancel()

    @property
    def _model(self) -> TextModel:
        assert self._made is not None, "nobody talks before the model is made"
        return self._made

    def _usage(self) -> list[UsageReport]:
        if self._made is None or not (self._made.tokens.read or self._made.tokens.written):
            return []
        tokens = self._made.tokens
        llm = self._spec.llm
        return [
            UsageReport(
                component="llm",
                provider=llm.provider,
                model=llm.model or llm.provider,
                input_tokens=tokens.read,
                output_tokens=tokens.written,
            )
        ]


def _ignore(_value: object) -> None:
    """Where a callback returns nothing."""
