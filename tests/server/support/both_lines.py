"""The same call with sound and by text, and what has to be the same of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
from tests.server.support.call_server import RecordingServer, ToolFunction
from tests.server.support.text_calls import by_text
from tests.server.support.voice_calls import Scenario, SideBySide, Stage

from bolti_server.worker_api.messages import CallSpec, ToolAnswer, TurnReport

# Of what a tool or pressing keys took: with sound it is measured, beside everything else that this machine does.
MEASURED_MS = 250


@attrs.frozen
class Situation:
    """`server` makes the one that the call with sound reports to, where a tool takes real time."""

    spec: CallSpec
    tool: ToolFunction | None = None
    server: Callable[[Stage], RecordingServer] | None = None


class BothLines:
    """Plays every situation with sound, side by side; with text when it is asked for."""

    def __init__(self, stage: Stage, situations: Mapping[str, Situation]) -> None:
        self._situations = situations
        self._plays = {name: _with_sound(each) for name, each in situations.items()}
        self._played = SideBySide(stage, list(self._plays.values()))

    async def of(self, name: str) -> tuple[RecordingServer, RecordingServer]:
        """With sound, and by text."""
        situation = self._situations[name]
        text = await by_text(situation.spec, tool=situation.tool)
        return await self._played.of(self._plays[name]), text

    async def stop(self) -> None:
        await self._played.stop()


def _with_sound(situation: Situation) -> Scenario:
    async def play(stage: Stage) -> RecordingServer:
        server = situation.server(stage) if situation.server else stage.server(situation.tool)
        return (await stage.play(situation.spec, server)).server

    return play


def assert_same_outcome(audio: RecordingServer, text: RecordingServer) -> None:
    """Everything that docs/guides/text-line.md does not list as what may differ."""
    _assert_equal(_end(text), _end(audio))
    _assert_equal([_said(turn) for turn in text.turns], [_said(turn) for turn in audio.turns])
    _assert_equal([_tools(turn) for turn in text.turns], [_tools(turn) for turn in audio.turns])
    _assert_equal([each[1:] for each in text.tool_calls], [each[1:] for each in audio.tool_calls])
    _assert_equal(
        [_is_measured(turn) for turn in text.turns], [_is_measured(turn) for turn in audio.turns]
    )
    for read, heard in zip(_took(text), _took(audio), strict=True):
        assert abs(read - heard) <= MEASURED_MS
    assert set(text.types) == set(audio.types)
    assert text.types[:2] == audio.types[:2]
    assert text.dial_intents == audio.dial_intents == 1


def _end(server: RecordingServer) -> tuple[str, str | None, int | None, bool]:
    end = server.end
    return end.code, end.detail, end.sip_status, end.is_message_left


def _said(turn: TurnReport) -> tuple[str, str | None, str | None, bool]:
    """Without the words of a turn that was cut: at which word exactly may differ."""
    words = None if turn.is_interrupted else turn.text
    return turn.role, words, turn.dtmf, turn.is_interrupted


def _tools(turn: TurnReport) -> list[tuple[str, Any, Any, bool]]:
    return [(each.name, each.arguments, each.result, each.is_error) for each in turn.tool_calls]


def _assert_equal(by_text: Any, with_sound: Any) -> None:
    assert by_text == with_sound, f"by text {by_text}, with sound {with_sound}"


def _is_measured(turn: TurnReport) -> bool:
    """Whether it answered the callee; a turn that was cut may have been too short to tell."""
    is_told = turn.latency is not None and turn.latency.end_to_end_ms is not None
    return is_told and not turn.is_interrupted


def _took(server: RecordingServer) -> list[int]:
    return [each.duration_ms for turn in server.turns for each in turn.tool_calls]


class SlowServer(RecordingServer):
    """One whose tools take `seconds`."""

    def __init__(self, folder: Path, tool: ToolFunction | None, seconds: float) -> None:
        super().__init__(folder, tool)
        self._seconds = seconds

    async def call_tool(
        self, tool_call_id: str, name: str, arguments: dict[str, Any], timeout_seconds: float
    ) -> ToolAnswer:
        answer = await super().call_tool(tool_call_id, name, arguments, timeout_seconds)
        await asyncio.sleep(self._seconds)
        return answer


def answering(result: Any, *, is_error: bool = False, ms: int = 1) -> ToolFunction:
    """The server's side of a tool."""
    return lambda _name, _arguments: ToolAnswer(result=result, is_error=is_error, duration_ms=ms)
