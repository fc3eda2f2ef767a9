"""One call on a text line, from "agent ready" to goodbye: no sound, in virtual time.

Rules: it keeps what `voice/call.py` keeps: the intent to dial is committed before anybody is dialed, every wait ends, and
exactly one `ended` is reported, after everything else. Turns, latency and the length of the call are told in the line's own
time; the instants of the record are the real ones. What may differ from the audio line is in docs/guides/text-line.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from bolti_server.base.logging import get_logger
from bolti_server.lines.line import DialFailed
from bolti_server.models.unavailable import ModelUnavailable
from bolti_server.simulated.text.clock import VirtualClock
from bolti_server.simulated.text.line import TextLine
from bolti_server.voice.beeps import MIN_BEEP_MS
from bolti_server.voice.commands import Commands
from bolti_server.voice.ending import End, Ending
from bolti_server.voice.mailbox import Mailbox
from bolti_server.voice.phrases import phrases_in
from bolti_server.voice.server import CallServer
from bolti_server.voice.tasks import CallTasks
from bolti_server.voice.text_agent import TextAgent
from bolti_server.voice.text_models import TextModel
from bolti_server.voice.text_turns import TextTurns
from bolti_server.worker_api.errors import CallLost, NotAuthorized, ServerUnreachable
from bolti_server.worker_api.messages import CallSpec, EndReport

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
    prepare_seconds: float = PREPARE_SECONDS,
) -> None:
    """Carries the call and returns when it is over and reported. Raises nothing but CancelledError, after cleaning up.

    `make_model` may raise ModelUnavailable: then nobody is dialed.
    """
    call = _TextCall(spec, server, make_model)
    try:
        await call.run(heartbeat_after_seconds, prepare_seconds)
    except asyncio.CancelledError:
        call.ending.decide("agent_lost", "The worker was stopped.")
        raise
    finally:
        await call.close()


class _TextCall:
    def __init__(
        self, spec: CallSpec, server: CallServer, make_model: Callable[[], Awaitable[TextModel]]
    ) -> None:
        self._spec, self._server = spec, server
        self._make_model = make_model
        self._model: TextModel | None = None
        self._agent: TextAgent | None = None  # from the answer on
        clock = VirtualClock()
        self.ending = Ending(on_decided=clock.stop)  # then nothing more is said or heard
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
        self._mailbox = Mailbox(spec, self.ending, on_found=self._line.stop_agent)
        self._work: asyncio.Task[None] | None = None
        self.phrases = phrases_in(spec.primary_language)

    async def run(self, heartbeat_after_seconds: float, prepare_seconds: float) -> None:
        """Returns when something has ended the call."""
        heartbeat = asyncio.get_running_loop().call_later(
            heartbeat_after_seconds,
            lambda: self._tasks.spawn("follow commands", self._commands.follow()),
        )
        work = self._work = asyncio.create_task(self._carry(prepare_seconds), name="text call")
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

    async def _carry(self, prepare_seconds: float) -> None:
        line = self._line
        line.on_ringing = lambda: self._server.report("ringing")
        line.on_left = self._mailbox.left
        line.on_key = self._key_pressed
        line.on_beep = self._beeped
        line.ear = self._mailbox
        try:
            async with asyncio.timeout(prepare_seconds):
                self._model = await self._make_model()
        except TimeoutError:
            raise ModelUnavailable(
                f"The model was not ready within {prepare_seconds:.0f} s."
            ) from None
        self._server.report("agent_ready")
        await self._server.dial_intent()
        await line.connect()
        self._agent = TextAgent(
            self._spec, self._server, line, self._turns, self._model, self._mailbox, self.ending
        )
        self._server.report("answered")
        self._commands.answered(self)
        self._clock.at(self._clock.now_ms + 1000 * self._spec.max_duration_seconds, self._reach_cap)
        self._mailbox.listen()
        await self._agent.talk()

    def _key_pressed(self, key: str) -> None:
        self._turns.key_pressed(key)
        self.ending.opted_out(self._spec.opt_out_key, key)

    def _beeped(self, length_ms: int) -> None:
        if length_ms >= MIN_BEEP_MS:
            self._mailbox.beep(self._line.now_ms)

    def _reach_cap(self) -> None:
        self.ending.decide(self._spec.code_at_cap)

    async def say_to_end(self, text: str, within_seconds: float) -> None:
        """`voice.commands`: stops what goes on, and says `text` to its end."""
        assert self._work is not None, "a command comes to a call that runs"
        assert self._agent is not None, "a command that wants words comes after the answer"
        self._work.cancel()
        await asyncio.wait({self._work}, timeout=within_seconds)
        await self._agent.say_to_end(text, within_seconds)

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

    async def close(self) -> None:
        """Hangs up and reports the end."""
        end = self.ending.end or End(code="agent_lost", detail="The call ended without a reason.")
        await self._line.hangup()
        if self._agent is not None:
            self._line.break_off()
            self._agent.break_off()
            self._turns.finish()
        ended = EndReport(
            code=end.code,
            detail=end.detail,
            sip_status=end.sip_status,
            usage=[] if self._model is None else self._model.usage(),
            is_message_left=end.is_message_left,
            virtual_ms=None if self._agent is None else self._line.now_ms,
        )
        self._server.report("ended", ended=ended)
        await self._tasks.cancel()
