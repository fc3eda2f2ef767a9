"""Turns of the conversation → reports.

Rules: a turn is reported when it is over, with the text as it was heard (the transcript synchronizer has cut it where it
was interrupted). Times count from the answer; an agent's turn that was interrupted ends where its sound did: the session
stamps it when the interruption turns out to be a turn, seconds after the line fell silent. A tool call goes into the
agent's turn that it belongs to: the one that is being spoken when the tool ends, else the next.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from livekit.agents import AgentSession, ConversationItemAddedEvent
from livekit.agents.llm import ChatMessage
from livekit.agents.voice.io import PlaybackProgressedEvent

from bolti_server.voice.latency import latency_of
from bolti_server.voice.server import CallServer
from bolti_server.worker_api.messages import Takeover, ToolCallReport, TurnReport


class Turns:
    """Listens to the session from the answer on. `takeover`: goes on where the agent before was lost."""

    def __init__(self, server: CallServer, takeover: Takeover | None = None) -> None:
        self._server = server
        self._takeover = takeover
        self._answered_at = 0.0  # of the wall clock, as the session's own measurements are
        self._sounded_until = (
            0.0  # of the wall clock: the end of the agent's last sound that was heard
        )
        self._next_index = 0 if takeover is None else takeover.turn_count
        self._user_metrics: Mapping[str, Any] = {}
        self._tool_calls: list[ToolCallReport] = []
        self._is_finished = False

    def begin(self, session: AgentSession[Any]) -> None:
        """The callee has answered, now, or is on the line since an agent before."""
        ago_ms = 0 if self._takeover is None else self._takeover.answered_ms_ago or 0
        self._answered_at = time.time() - ago_ms / 1000
        session.on("conversation_item_added", self._on_item)
        assert session.output.audio is not None, "a call has sound"
        session.output.audio.on("playback_progressed", self._on_sound)

    def tool_called(self, call: ToolCallReport) -> None:
        """Reports it at once, and keeps it for its turn."""
        if self._is_finished:
            return
        self._tool_calls.append(call)
        self._server.report("tool_call", tool_call=call)

    def keys_pressed(self, digits: str) -> None:
        now = self._since_answer_ms(time.time())
        self._report(
            TurnReport(turn_index=0, role="user", text="", start_ms=now, end_ms=now, dtmf=digits)
        )

    def keys_sent(self, digits: str) -> None:
        """The agent has pressed keys: a turn without words, with the tool call that it was."""
        now = self._since_answer_ms(time.time())
        self._report(
            TurnReport(turn_index=0, role="agent", text="", start_ms=now, end_ms=now, dtmf=digits)
        )

    def finish(self) -> None:
        """The call is over: tool calls that no words followed get a turn without words. Nothing is reported any more."""
        if self._tool_calls:
            now = self._since_answer_ms(time.time())
            self._report(TurnReport(turn_index=0, role="agent", text="", start_ms=now, end_ms=now))
        self._is_finished = True

    def _on_sound(self, stretch: PlaybackProgressedEvent) -> None:
        self._sounded_until = stretch.started_at + stretch.duration

    def _on_item(self, event: ConversationItemAddedEvent) -> None:
        message = event.item
        if not isinstance(message, ChatMessage):
            return
        text = (message.text_content or "").strip()
        if message.role == "user" and text:
            self._user_metrics = dict(message.metrics)
            self._report(self._turn("user", text, message))
        elif message.role == "assistant" and text:
            self._report(self._turn("agent", text, message))

    def _turn(self, role: str, text: str, message: ChatMessage) -> TurnReport:
        metrics: Mapping[str, Any] = dict(message.metrics)
        start = metrics.get("started_speaking_at") or message.created_at
        end = metrics.get("stopped_speaking_at") or time.time()
        if message.interrupted and self._sounded_until >= start:
            end = min(end, self._sounded_until)
        return TurnReport(
            turn_index=0,
            role="agent" if role == "agent" else "user",
            text=text,
            start_ms=self._since_answer_ms(start),
            end_ms=max(self._since_answer_ms(start), self._since_answer_ms(end)),
            is_interrupted=message.interrupted,
            latency=latency_of(self._user_metrics, metrics) if role == "agent" else None,
        )

    def _report(self, turn: TurnReport) -> None:
        if self._is_finished:
            return
        tool_calls: list[ToolCallReport] = []
        if turn.role == "agent":
            tool_calls, self._tool_calls = self._tool_calls, []
        numbered = TurnReport(
            turn_index=self._next_index,
            role=turn.role,
            text=turn.text,
            start_ms=turn.start_ms,
            end_ms=turn.end_ms,
            is_interrupted=turn.is_interrupted,
            latency=turn.latency,
            tool_calls=tool_calls,
            dtmf=turn.dtmf,
        )
        self._next_index += 1
        self._server.report("turn", turn=numbered)

    def _since_answer_ms(self, at: float) -> int:
        return max(0, round((at - self._answered_at) * 1000))
