"""The agent's language model on a text line: the simulated one's rules in virtual time, any other as it is.

Rule: what the model costs in time is told in milliseconds and passes on the line's clock: a scripted delay where the model
is simulated, else what the vendor took.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any, Protocol

import attrs
import msgspec
from livekit.agents import RunContext, function_tool, llm

from bolti_server.models.unavailable import ModelUnavailable
from bolti_server.simulated.rules import Rules
from bolti_server.voice.fallback import Vendors
from bolti_server.voice.llm_chain import LlmChain
from bolti_server.voice.models import Models
from bolti_server.voice.usage import Usage
from bolti_server.worker_api.messages import CallSpec, ToolSpec, UsageReport

_LETTERS_PER_TOKEN = 4  # as simulated.llm counts
_BUILT_IN = frozenset({"cut_call", "send_dtmf", "transfer_call", "schedule_callback"})


@attrs.frozen
class ToolCall:
    id: str
    name: str
    arguments: dict[str, Any]


@attrs.frozen
class Failure:
    """No answer, or only the beginning of one. `is_hopeless`: asking again is no use."""

    detail: str
    is_hopeless: bool


@attrs.frozen
class Reply:
    """What the model wants said, and the tools that it calls meanwhile. `first_token_ms` is where it failed, where no token
    came."""

    words: str
    calls: tuple[ToolCall, ...]
    first_token_ms: int
    failure: Failure | None = None


class TextModel(Protocol):
    """It is told what was said, in order, and asked for the agent's next words."""

    def heard(self, text: str) -> None: ...

    def said(self, text: str) -> None: ...

    def answered(self, call: ToolCall, result: str, *, is_error: bool) -> None:
        """A tool has answered."""
        ...

    async def reply(self) -> Reply: ...

    def usage(self) -> list[UsageReport]:
        """Of the call so far, an entry for each model that was used."""
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
        self._usage = UsageReport(component="llm", provider="simulated", model="simulated")
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
        self._usage = msgspec.structs.replace(
            self._usage,
            input_tokens=self._usage.input_tokens + -(-self._letters // _LETTERS_PER_TOKEN),
            output_tokens=self._usage.output_tokens + -(-written // _LETTERS_PER_TOKEN),
        )
        calls: tuple[ToolCall, ...] = ()
        if answer.tool is not None:
            calls = (ToolCall(_new_id(), answer.tool, dict(answer.arguments)),)
        return Reply(answer.say or "", calls, self._first_token_ms)

    def usage(self) -> list[UsageReport]:
        return [self._usage] if self._usage.input_tokens or self._usage.output_tokens else []


class VendorModel:
    """Any language model that LiveKit has a plugin for, the agent's fallbacks behind it."""

    def __init__(self, spec: CallSpec, vendors: Vendors[llm.LLM[Any]]) -> None:
        self._vendors = vendors
        self._usage = Usage(vendors)
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
        failure: Failure | None = None
        try:
            async with aclosing(self._chain.answer(self._history.copy(), self._tools)) as answer:
                async for chunk in answer:
                    if chunk.delta is None:
                        continue
                    if first_token_ms is None and chunk.has_response():
                        first_token_ms = _ms_since(began)
                    words.append(chunk.delta.content or "")
                    calls += [_called(each) for each in chunk.delta.tool_calls]
        except Exception as error:  # noqa: BLE001 - the edge to a vendor's plugin, which may raise anything
            is_hopeless = self._vendors.is_hopeless_after(error)
            failure = Failure(self._vendors.complaint(error), is_hopeless)
        if first_token_ms is None:
            first_token_ms = _ms_since(began)
        return Reply("".join(words).strip(), tuple(calls), first_token_ms, failure)

    def usage(self) -> list[UsageReport]:
        return self._usage.report()


def usable(tools: Sequence[ToolSpec]) -> list[ToolSpec]:
    """Without the built-in ones that this version does not know: the model can't call what it does not see."""
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


def _ms_since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


def _new_id() -> str:
    return f"call_{uuid.uuid4().hex}"
