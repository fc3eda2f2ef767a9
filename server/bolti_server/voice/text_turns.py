"""Turns of a text call → reports, in the line's own time.

Rules: those of `voice/turns.py`: a turn is reported when it is over, with the text as it was heard; a tool call goes into
the agent's turn that follows it; nothing is reported twice.
"""

from __future__ import annotations

from bolti_server.simulated.text.line import Speech, TextLine
from bolti_server.voice.server import CallServer
from bolti_server.worker_api.messages import CallSpec, ToolCallReport, TurnLatency, TurnReport


class TextTurns:
    def __init__(self, spec: CallSpec, server: CallServer, line: TextLine) -> None:
        self._spec, self._server, self._line = spec, server, line
        self._next_index = 0
        self._tool_calls: list[ToolCallReport] = []
        self._answering: Speech | None = (
            None  # the callee's turn that the agent has not answered yet
        )
        self._first_token_ms = 0
        self._is_answer = False
        self._reported: Speech | None = None

    def user_said(self, speech: Speech) -> None:
        self._report("user", speech)
        self._answering = speech

    def key_pressed(self, key: str) -> None:
        now = self._line.now_ms
        self._send(
            TurnReport(
                turn_index=self._next_index,
                role="user",
                text="",
                start_ms=now,
                end_ms=now,
                dtmf=key,
            )
        )

    def keys_sent(self, digits: str) -> None:
        """The agent has pressed keys: a turn without words, with the tool call that it was."""
        now = self._line.now_ms
        tool_calls, self._tool_calls = self._tool_calls, []
        self._send(
            TurnReport(
                turn_index=self._next_index,
                role="agent",
                text="",
                start_ms=now,
                end_ms=now,
                dtmf=digits,
                tool_calls=tool_calls,
            )
        )

    def thought(self, first_token_ms: int) -> None:
        """The model has begun to answer."""
        self._first_token_ms = first_token_ms

    def tool_called(self, call: ToolCallReport) -> None:
        self._tool_calls.append(call)
        self._server.report("tool_call", tool_call=call)

    def agent_speaks(self, *, is_answer: bool) -> None:
        """What it says now; `is_answer`: the model's answer to the callee, not words of ours."""
        self._is_answer = is_answer

    def agent_said(self, speech: Speech) -> None:
        """As far as it was heard; safe to repeat."""
        if speech is self._reported or not speech.text:
            return
        self._reported = speech
        tool_calls, self._tool_calls = self._tool_calls, []
        self._report("agent", speech, latency=self._latency(speech), tool_calls=tool_calls)
        if self._is_answer:
            self._answering = None

    def finish(self) -> None:
        """The call is over: what the agent did not get to answer, and tool calls that no words followed."""
        if (last := self._line.latest) is not None and last.is_over:
            self.agent_said(last)
        if (rest := self._line.take_unanswered()) is not None:
            self._report("user", rest)
        if self._tool_calls:
            now = self._line.now_ms
            self._report("agent", Speech("", now, now), tool_calls=self._tool_calls)

    def _latency(self, speech: Speech) -> TurnLatency | None:
        if self._answering is None or not self._is_answer:
            return None
        waited_ms = max(self._spec.turn.endpointing_min_delay_ms, self._spec.stt.final_delay_ms)
        return TurnLatency(
            end_of_turn_ms=waited_ms,
            transcription_ms=self._spec.stt.final_delay_ms,
            llm_first_token_ms=self._first_token_ms,
            tts_first_audio_ms=self._spec.tts.first_audio_delay_ms,
            playback_ms=0,
            end_to_end_ms=max(0, speech.start_ms - self._answering.end_ms),
        )

    def _report(
        self,
        role: str,
        speech: Speech,
        *,
        latency: TurnLatency | None = None,
        tool_calls: list[ToolCallReport] | None = None,
    ) -> None:
        self._send(
            TurnReport(
                turn_index=self._next_index,
                role="agent" if role == "agent" else "user",
                text=speech.text,
                start_ms=speech.start_ms,
                end_ms=speech.end_ms,
                is_interrupted=speech.is_interrupted and role == "agent",
                latency=latency,
                tool_calls=tool_calls or [],
            )
        )

    def _send(self, turn: TurnReport) -> None:
        self._next_index += 1
        self._server.report("turn", turn=turn)
