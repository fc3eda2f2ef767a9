"""The agent's language model on a text line: the simulated one's rules in virtual time, any other as it is.

Rule: what the model costs in time is told in milliseconds and passes on the line's clock: a scripted delay where the model
is simulated, else what the vendor took.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Sequence
from typing import Any, Protocol

import attrs
import msgspec
from livekit.agents import RunContext, function_tool, llm

from bolti_server.models.unavailable import ModelUnavailable
from bolti_server.simulated.rules import Rules
from bolti_server.voice.fallback import Vendors
from bolti_server.voice.llm_chain import LlmChain
from bolti_server.voice.models import Models
from bolti_server.worker_api.messages import CallSpec, ToolSpec

_LETTERS_PER_TOKEN = 4  # as simulated.llm counts
_BUILT_IN = frozenset({"cut_call", "send_dtmf", "schedule_callback"})


@attrs.frozen
class ToolCall:
    id: str
    name: str
    arguments: dict[str, Any]


@attrs.frozen
class Reply:
    """What the model wants said, and the tools that it calls meanwhile."""

    words: str
    calls: tuple[ToolCall, ...]
    first_token_ms: int


@attrs.define
class Tokens:
    read: int = 0
    written: int = 0


class TextModel(Protocol):
    """It is told what was said, in order, and asked for the agent's next words."""

    tokens: Tokens

    def heard(self, text: str) -> None: ...

    def said(self, text: str) -> None: ...

    def answered(self, call: ToolCall, result: str, *, is_error: bool) -> None:
        """A tool has answered."""
        ...

    async def reply(self) -> Reply:
        """Raises what the vendor's plugin raises, TimeoutError among it."""
        ...


class RuleModel:
    """The simulated model. Raises ModelUnavailable for rules that can't be used."""

    def __init__(self, spec: CallSpec) -> None:
        try:
            self._rules = Rules(spec.llm.rules, spec.llm.default_reply)
        except ValueError as problem:
            raise ModelUnavailable(
                f"The rules of the simulated LLM can't be used: {problem}"
            ) from problem
        self.tokens = Tokens()
        self._first_token_ms = spec.llm.first_token_delay_ms
        self._tools = frozenset(tool.name for tool in usable(spec.tools))
        self._letters = len(spec.instructions)
        self._heard = ""
        self._has_result = False

    def heard(self, text: str) -> None:
        self._heard, self._has_result = text, False
        self._letters += len(text)

    def said(self, text: str) -> None:
        self._letters += len(text)

    def answered(self, call: ToolCall, result: str, *, is_error: bool) -> None:
        self._has_result = True

    async def reply(self) -> Reply:
        answer = self._rules.answer(self._heard, self._tools, has_result=self._has_result)
        written = len(answer.say or "") + len(answer.tool or "")
        self.tokens.read += -(-self._letters // _LETTERS_PER_TOKEN)
        self.tokens.written += -(-written // _LETTERS_PER_TOKEN)
        calls: tuple[ToolCall, ...] = ()
        if answer.tool is not None:
            calls = (ToolCall(_new_id(), answer.tool, dict(answer.arguments)),)
        return Reply(answer.say or "", calls, self._first_token_ms)


class VendorModel:
    """Any language model that LiveKit has a plugin for, the agent's fallbacks behind it."""

    def __init__(self, spec: CallSpec, vendors: Vendors[llm.LLM[Any]]) -> None:
        self.tokens = Tokens()
        self._chain = LlmChain(vendors)
        self._tools: list[llm.Tool] = [_seen(tool) for tool in usable(spec.tools)]
        self._history = llm.ChatContext.empty()
        self._history.add_message(role="system", content=spec.instructions)

    def heard(self, text: str) -> None:
        self._history.add_message(role="user", content=text)

    def said(self, text: str) -> None:
        self._history.add_message(role="assistant", content=text)

    def answered(self, call: ToolCall, result: str, *, is_error: bool) -> None:
        arguments = json.dumps(call.arguments)
        self._history.insert(
            [
                llm.FunctionCall(call_id=call.id, name=call.name, arguments=arguments),
                llm.FunctionCallOutput(
                    call_id=call.id, name=call.name, output=result, is_error=is_error
                ),
            ]
        )

    async def reply(self) -> Reply:
        began = time.monotonic()
        first_token_ms: int | None = None
        words: list[str] = []
        calls: list[ToolCall] = []
        async for chunk in self._chain.answer(self._history.copy(), self._tools):
            if chunk.usage is not None:
                self.tokens.read += chunk.usage.prompt_tokens
                self.tokens.written += chunk.usage.completion_tokens
            if chunk.delta is None:
                continue
            if first_token_ms is None:
                first_token_ms = round((time.monotonic() - began) * 1000)
            words.append(chunk.delta.content or "")
            calls += [_called(each) for each in chunk.delta.tool_calls]
        return Reply("".join(words).strip(), tuple(calls), first_token_ms or 0)


def usable(tools: Sequence[ToolSpec]) -> list[ToolSpec]:
    """Those that a text line can do: it has nobody to hand a call over to."""
    return [tool for tool in tools if not tool.is_built_in or tool.name in _BUILT_IN]


async def text_model(spec: CallSpec, models: Models) -> TextModel:
    """The language model of `spec`, checked. Raises ModelUnavailable: no such provider here, or its key is wrong."""
    if spec.llm.provider == "simulated" and not spec.llm_fallbacks:
        return RuleModel(spec)
    return VendorModel(spec, await models.build_llm(spec))


def _called(call: llm.FunctionToolCall) -> ToolCall:
    try:
        arguments = msgspec.json.decode(call.arguments or "{}", type=dict[str, Any])
    except msgspec.MsgspecError:  # a model's JSON: the tool gets nothing, and says what it misses
        arguments = {}
    return ToolCall(call.call_id or _new_id(), call.name, arguments)


def _seen(spec: ToolSpec) -> llm.Tool:
    """What the model sees of a tool; it is run by `text_call`, never by LiveKit."""

    async def never(raw_arguments: dict[str, object], context: RunContext[Any]) -> None:
        raise AssertionError(f"{spec.name} is not run here")

    schema = {"name": spec.name, "description": spec.description, "parameters": spec.parameters}
    return function_tool(never, raw_schema=schema)


def _new_id() -> str:
    return f"call_{uuid.uuid4().hex}"
