"""The agent's tools on a text line, in the line's own time. What they do and say is that of `tools` and `phone_tools`.

A tool of the server is really asked, while the line's time stands still; what that took passes on the line afterwards, as it
would have with sound: beside the agent's words, and with a word about it where it is long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import attrs

from bolti_server.lines.line import TransferFailed
from bolti_server.simulated.text.line import TextLine
from bolti_server.voice.ending import Ending
from bolti_server.voice.patience import MORE_PATIENCE_SECONDS, PATIENCE_SECONDS
from bolti_server.voice.phone_tools import (
    NOTHING_PRESSED,
    keys_of,
    reason_of,
    refusal,
    words_of,
)
from bolti_server.voice.phrases import phrases_in
from bolti_server.voice.server import CallServer
from bolti_server.voice.text_models import TextModel, ToolCall
from bolti_server.voice.text_turns import TextTurns
from bolti_server.voice.tools import (
    answered,
    not_waited_for,
    text_for_model,
)
from bolti_server.voice.transfer_tool import (
    GATE_SECONDS,
    introduction_of,
    transferred_to,
    why_not_transferred,
)
from bolti_server.worker_api.messages import CallSpec, ToolAnswer, ToolCallReport

# Done with the telephone, after the words that are said with it.
ON_THE_PHONE = frozenset({"send_dtmf", "transfer_call"})


@attrs.define(eq=False)
class _Asked:
    call: ToolCall
    began_ms: int
    answer: ToolAnswer | None = None

    @property
    def done_ms(self) -> int:
        return self.began_ms + (0 if self.answer is None else self.answer.duration_ms)


class TextTools:
    def __init__(
        self,
        spec: CallSpec,
        server: CallServer,
        line: TextLine,
        turns: TextTurns,
        model: TextModel,
        ending: Ending,
        say_to_end: Callable[[str], Awaitable[object]],
    ) -> None:
        self._phrases, self._say_to_end = phrases_in(spec.primary_language), say_to_end
        self._timeouts = {tool.name: tool.timeout_ms / 1000 for tool in spec.tools}
        self._server, self._line, self._turns = server, line, turns
        self._model, self._ending = model, ending
        self._asked: list[_Asked] = []
        self.done_ms = 0  # when the last of those that were asked last answers
        self._answers: list[tuple[ToolCall, ToolAnswer]] = []  # that the model does not know yet

    async def ask(self, calls: Sequence[ToolCall]) -> bool:
        """All at once, for real. Whether the model has to hear of it: the answers by `tell_model`."""
        for call in calls:
            if call.name not in self._timeouts:
                self._model.answered(call, f"There is no tool {call.name}.", is_error=True)
        known = [_Asked(call, self._line.now_ms) for call in calls if call.name in self._timeouts]
        self._asked += known
        await asyncio.gather(*(self._ask(each) for each in known))
        self.done_ms = max((each.done_ms for each in known), default=0)
        return bool(calls)

    async def _ask(self, asked: _Asked) -> None:
        call = asked.call
        asked.answer = await self._server.call_tool(
            call.id, call.name, call.arguments, self._timeouts[call.name]
        )

    def finish(self) -> None:
        """Those that have answered by now are reported."""
        for each in list(self._asked):
            if each.answer is not None and each.done_ms <= self._line.now_ms:
                self._report(each, each.answer)

    def _report(self, asked: _Asked, answer: ToolAnswer) -> None:
        self._asked.remove(asked)
        self._answers.append((asked.call, answer))
        self._turns.tool_called(answered(asked.call.name, asked.call.arguments, answer))

    def tell_model(self) -> None:
        """What they answered: after the words that were said with the calls, and meanwhile."""
        answers, self._answers = self._answers, []
        for call, answer in answers:
            self._model.answered(call, text_for_model(answer), is_error=answer.is_error)

    def end(self) -> None:
        """The call is over: the record still gets what the server has answered."""
        for each in list(self._asked):
            if each.answer is not None:
                self._report(each, each.answer)
        self.abandon()

    def abandon(self) -> None:
        """The callee talked over the words that came with them, or the call is over."""
        self.tell_model()
        asked, self._asked = self._asked, []
        for each in asked:
            ms = max(0, self._line.now_ms - each.began_ms)
            self._turns.tool_called(not_waited_for(each.call.name, each.call.arguments, ms))

    def begin_goodbye(self, call: ToolCall) -> None:
        """`cut_call`, before the words that are said with it."""
        self._turns.tool_called(ToolCallReport(name=call.name, arguments=call.arguments))

    def hang_up(self, call: ToolCall) -> None:
        """After them."""
        self._ending.decide("agent_hangup", reason_of(call.arguments))

    async def use_phone(self, call: ToolCall, began_ms: int) -> bool:
        """Whether the model has to hear of it. After keys it has not: a menu speaks next."""
        if call.name == "transfer_call":
            refused = await self._transfer(call, began_ms)
        else:
            refused = await self._press(call, began_ms)
        if refused is None:
            return False
        self._turns.tool_called(refusal(call.name, call.arguments, refused))
        self._model.answered(call, refused, is_error=True)
        return True

    async def _press(self, call: ToolCall, began_ms: int) -> str | None:
        """Why nothing was pressed."""
        digits = keys_of(str(call.arguments.get("digits", "")))
        if digits is None:
            return NOTHING_PRESSED
        await self._line.press(digits)
        sent = ToolAnswer({"sent": digits}, is_error=False, duration_ms=self._ms_since(began_ms))
        self._turns.tool_called(answered(call.name, call.arguments, sent))
        self._turns.keys_sent(digits)
        self._model.answered(call, text_for_model(sent), is_error=False)
        return None

    async def _transfer(self, call: ToolCall, began_ms: int) -> str | None:
        """Why nobody took the call."""
        gate = await self._server.call_tool(call.id, call.name, call.arguments, GATE_SECONDS)
        if gate.is_error or not isinstance(gate.result, dict):
            return words_of(gate.result)
        number, is_warm = str(gate.result["to_number"]), gate.result.get("mode") == "warm"
        try:
            await (self._line.bring_in if is_warm else self._line.transfer)(number)
        except TransferFailed as failure:
            return why_not_transferred(failure)
        ms = self._ms_since(began_ms)
        if is_warm:
            await self._say_to_end(introduction_of(call.arguments, self._phrases))
        done = ToolAnswer(gate.result, is_error=False, duration_ms=ms)
        self._turns.tool_called(answered(call.name, call.arguments, done))
        self._ending.decide("transferred", transferred_to(call.arguments))
        return None

    def _ms_since(self, began_ms: int) -> int:
        return self._line.now_ms - began_ms


def moments(ms: int) -> list[int]:
    """When the agent asks for a moment while tools take so long; as `tools` does where the time is real."""
    instants: list[int] = []
    at = round(1000 * PATIENCE_SECONDS)
    while at < ms:
        instants.append(at)
        at += round(1000 * MORE_PATIENCE_SECONDS)
    return instants
