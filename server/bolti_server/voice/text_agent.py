"""The agent of a text call: what it says, hears, thinks and does, in the line's own time.

Rules: it behaves as the agent with sound does (`session`, `tools`, `failures`, `voicemail`), by the same numbers and words.
After everything that it waits for on the line it looks whether a mailbox was found meanwhile: then it does nothing else.
"""

from __future__ import annotations

from bolti_server.base.logging import get_logger
from bolti_server.simulated.text.line import Speech, TextLine
from bolti_server.voice.ending import Ending
from bolti_server.voice.failures import APOLOGY_SECONDS, MAX_LLM_FAILURES
from bolti_server.voice.limits import prompt_instants
from bolti_server.voice.mailbox import (
    AFTER_BEEP_SECONDS,
    LONGEST_GREETING_SECONDS,
    LONGEST_MESSAGE_SECONDS,
    LOOK_SECONDS,
    Mailbox,
)
from bolti_server.voice.phrases import phrases_in
from bolti_server.voice.server import CallServer
from bolti_server.voice.session import MAX_TOOL_STEPS
from bolti_server.voice.text_models import Failure, Reply, TextModel
from bolti_server.voice.text_tools import ON_THE_PHONE, TextTools, moments
from bolti_server.voice.text_turns import TextTurns
from bolti_server.worker_api.messages import CallSpec

OPENING_MS = 20  # from the answer to the agent's first sound, on the audio line

log = get_logger("voice")


class _MailboxFound(Exception):
    """What the agent was at is over."""


class TextAgent:
    def __init__(
        self,
        spec: CallSpec,
        server: CallServer,
        line: TextLine,
        turns: TextTurns,
        model: TextModel,
        mailbox: Mailbox,
        ending: Ending,
    ) -> None:
        self._spec, self._line, self._turns = spec, line, turns
        self._model, self._mailbox, self._ending = model, mailbox, ending
        self._tools = TextTools(spec, server, line, turns, model, ending, self._say_all)
        self._failures = 0
        self._may_be_interrupted = spec.turn.is_interruption_enabled
        self.phrases = phrases_in(spec.primary_language)

    async def talk(self) -> None:
        """From the answer on. Returns when it has decided the call's end."""
        try:
            await self._pass(OPENING_MS)
            await self._open()
            await self._converse()
        except _MailboxFound:
            self._line.resume_agent()
            await self._serve_mailbox()

    async def say_to_end(self, text: str, within_seconds: float) -> None:
        """Stops what is being said. Only where `talk` was stopped before."""
        self._mailbox.stop_listening()
        self._line.resume_agent()
        self.break_off()
        await self._say(text, may_be_interrupted=False, within_seconds=within_seconds)

    def break_off(self) -> None:
        """What it is saying is over, and what it waits for is not waited for."""
        speech = self._line.silence_agent()
        if speech is not None:
            self._agent_said(speech)
        self._tools.end()

    # ---- the conversation ----

    async def _open(self) -> None:
        spec = self._spec
        texts = [(spec.disclosure_text, False), (spec.greeting, self._may_be_interrupted)]
        for text, may_be_interrupted in texts:
            if text and not spec.transcript_so_far:
                await self._say(text, may_be_interrupted=may_be_interrupted)

    async def _converse(self) -> None:
        while True:
            turn = await self._listen()
            if turn is None:
                self._ending.decide("silence_timeout")
                return
            late_ms = self._spec.stt.final_delay_ms - self._spec.turn.endpointing_min_delay_ms
            await self._pass(late_ms)
            self._turns.user_said(turn)
            self._mailbox.turn_ended(self._line.now_ms)
            self._model.heard(turn.text)
            await self._answer()

    async def _listen(self) -> Speech | None:
        """The callee's next turn; None after a silence in which the agent has asked in vain, where it is to ask."""
        spec, silent_ms = self._spec, 0
        asks = prompt_instants(spec.silence_timeout_seconds, spec.silence_prompt.times)
        for seconds in (*asks, None):
            limit_ms = round(1000 * (spec.silence_timeout_seconds if seconds is None else seconds))
            turn = await self._line.listen(silence_ms=limit_ms - silent_ms)
            self._look()
            if turn is not None or seconds is None:
                return turn
            silent_ms = limit_ms
            await self._say(spec.silence_prompt.text or self.phrases.still_there)
        raise AssertionError("the last limit returns")

    async def _answer(self) -> None:
        """The agent's answer with all the tools that it takes; given up where the callee goes on talking."""
        for _ in range(MAX_TOOL_STEPS + 1):
            reply = await self._model.reply()
            self._turns.thought(reply.first_token_ms)
            await self._pass(reply.first_token_ms)
            if reply.failure is not None:
                await self._fail(reply.words, reply.failure)
                return
            self._failures = 0
            if not await self._act(reply):
                return

    async def _act(self, reply: Reply) -> bool:
        """Says and does what the model wants: whether it has to be asked again, for what came of it."""
        goodbye = next((call for call in reply.calls if call.name == "cut_call"), None)
        on_phone = [call for call in reply.calls if call.name in ON_THE_PHONE]
        others = [call for call in reply.calls if call is not goodbye and call not in on_phone]
        began_ms = self._line.now_ms
        is_curious = await self._tools.ask(others)
        if goodbye is not None:
            self._tools.begin_goodbye(goodbye)
        # Whoever hangs up, or hands the call over, says the words before it to their end.
        is_last = goodbye is not None or any(call.name == "transfer_call" for call in on_phone)
        if reply.words and not await self._speak(reply.words, is_last=is_last):
            self._tools.abandon()
            return False
        if goodbye is not None:
            self._tools.hang_up(goodbye)
            return False
        for call in on_phone:
            is_curious |= await self._tools.use_phone(call, began_ms)
            self._look()
        return await self._wait_for_tools(began_ms) and is_curious

    async def _wait_for_tools(self, began_ms: int) -> bool:
        """Whether the callee said nothing meanwhile: else it is answered, and not the tools."""
        done_ms = self._tools.done_ms
        for ms in moments(done_ms - began_ms):
            await self._pass(began_ms + ms - self._line.now_ms)
            if not self._line.is_callee_speaking:
                await self._say(self.phrases.one_moment)
        await self._pass(done_ms - self._line.now_ms)
        self._tools.finish()
        self._tools.tell_model()
        return not self._line.is_callee_heard

    async def _fail(self, words: str, failure: Failure) -> None:
        """One failed answer is asked for again; what fails for good ends the call after an apology."""
        self._failures += 1
        log.warning("no_model_left", what="llm", count=self._failures, detail=failure.detail)
        if not failure.is_hopeless and self._failures < MAX_LLM_FAILURES:
            await self._speak(f"{words} {self.phrases.ask_again}".strip())
            return
        await self._say(
            self.phrases.apology, may_be_interrupted=False, within_seconds=APOLOGY_SECONDS
        )
        self._ending.decide("model_error", failure.detail)

    async def _serve_mailbox(self) -> None:
        """`voicemail.Voicemail`, in the line's time."""
        self.break_off()
        message = self._mailbox.message
        if message is None:
            self._mailbox.hang_up()
            return
        until_ms = self._line.now_ms + round(1000 * LONGEST_GREETING_SECONDS)
        while not self._is_greeting_over() and self._line.now_ms < until_ms:
            by_ms = self._line.now_ms + round(
                1000 * LOOK_SECONDS
            )  # it may be over by silence alone
            await self._line.wait_for(self._is_greeting_over, by_ms=by_ms)
        await self._line.pass_time(round(1000 * AFTER_BEEP_SECONDS))
        if (greeting := self._line.take_unanswered()) is not None:
            self._turns.user_said(greeting)
        self._mailbox.begin_message()
        await self._say(message, may_be_interrupted=False, within_seconds=LONGEST_MESSAGE_SECONDS)
        self._mailbox.message_left()

    def _is_greeting_over(self) -> bool:
        return self._mailbox.is_greeting_over(self._line.now_ms)

    # ---- speaking ----

    async def _speak(self, words: str, *, is_last: bool = False) -> bool:
        """An answer of the model: whether all of it was said."""
        await self._pass(self._spec.tts.first_audio_delay_ms)
        if self._line.is_callee_heard and not is_last:
            return False  # it went on while the agent thought: what it says now is answered
        may_be_interrupted = self._may_be_interrupted and not is_last
        return await self._say(words, may_be_interrupted=may_be_interrupted, is_answer=True)

    async def _say_all(self, words: str) -> None:
        await self._say(words, may_be_interrupted=False)

    async def _say(
        self,
        words: str,
        *,
        may_be_interrupted: bool | None = None,
        within_seconds: float = 3600.0,
        is_answer: bool = False,
    ) -> bool:
        """Whether all of it was said."""
        if may_be_interrupted is None:
            may_be_interrupted = self._may_be_interrupted
        self._turns.agent_speaks(is_answer=is_answer)
        speech = await self._line.say(
            words, may_be_interrupted=may_be_interrupted, within_ms=round(1000 * within_seconds)
        )
        self._agent_said(speech)
        self._look()
        return not speech.is_interrupted

    def _agent_said(self, speech: Speech) -> None:
        self._tools.finish()
        self._turns.agent_said(speech)
        if speech.text:
            self._model.said(speech.text)

    async def _pass(self, ms: int) -> None:
        await self._line.pass_time(ms)
        self._look()

    def _look(self) -> None:
        if self._line.is_agent_stopped:
            raise _MailboxFound
