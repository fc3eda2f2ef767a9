"""The simulated language model: an agent's rules, streamed word by word as a model streams tokens."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import msgspec
from livekit.agents import llm, utils
from livekit.agents.types import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    APIConnectOptions,
    NotGivenOr,
)

from bolti_server.simulated.rules import Answer, Rules
from bolti_server.worker_api.messages import LlmSpec

_LETTERS_PER_TOKEN = (
    4  # what models' tokenizers come to in English, near enough for a simulated bill
)


class SimulatedLLM(llm.LLM[str]):
    """Raises ValueError for a rule whose pattern can't be used."""

    def __init__(self, spec: LlmSpec) -> None:
        super().__init__()
        self._rules = Rules(spec.rules, spec.default_reply)
        self._first_token_delay_seconds = spec.first_token_delay_ms / 1000

    @property
    def model(self) -> str:
        return "simulated"

    @property
    def provider(self) -> str:
        return "simulated"

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        parallel_tool_calls: NotGivenOr[bool] = NOT_GIVEN,
        tool_choice: NotGivenOr[llm.ToolChoice] = NOT_GIVEN,
        extra_kwargs: NotGivenOr[dict[str, Any]] = NOT_GIVEN,
    ) -> llm.LLMStream:
        return _RuleStream(
            self,
            self._rules,
            self._first_token_delay_seconds,
            chat_ctx=chat_ctx,
            tools=tools or [],
            conn_options=conn_options,
        )


class _RuleStream(llm.LLMStream):
    def __init__(
        self,
        model: SimulatedLLM,
        rules: Rules,
        first_token_delay_seconds: float,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool],
        conn_options: APIConnectOptions,
    ) -> None:
        self._rules = rules
        self._first_token_delay_seconds = first_token_delay_seconds
        super().__init__(model, chat_ctx=chat_ctx, tools=tools, conn_options=conn_options)

    async def _run(self) -> None:
        await asyncio.sleep(self._first_token_delay_seconds)
        heard, has_result = _last_turn(self._chat_ctx)
        tools = llm.ToolContext(self._tools).function_tools
        answer = self._rules.answer(heard, tools.keys(), has_result=has_result)
        request_id = utils.shortuuid("rule_")
        for word in re.findall(r"\s*\S+", answer.say or ""):
            self._send(request_id, llm.ChoiceDelta(role="assistant", content=word))
            await asyncio.sleep(0)
        if answer.tool is not None:
            call = llm.FunctionToolCall(
                name=answer.tool,
                arguments=msgspec.json.encode(answer.arguments).decode(),
                call_id=utils.shortuuid("call_"),
            )
            self._send(request_id, llm.ChoiceDelta(role="assistant", tool_calls=[call]))
        self._event_ch.send_nowait(
            llm.ChatChunk(id=request_id, usage=_usage(self._chat_ctx, answer))
        )

    def _send(self, request_id: str, delta: llm.ChoiceDelta) -> None:
        self._event_ch.send_nowait(llm.ChatChunk(id=request_id, delta=delta))


def _last_turn(chat_ctx: llm.ChatContext) -> tuple[str, bool]:
    """The other side's last words, and whether a tool has answered since."""
    has_result = False
    for item in reversed(chat_ctx.items):
        if item.type == "function_call_output":
            has_result = True
        elif item.type == "message" and item.role == "user":
            return item.text_content or "", has_result
    return "", has_result


def _usage(chat_ctx: llm.ChatContext, answer: Answer) -> llm.CompletionUsage:
    read = sum(len(item.text_content or "") for item in chat_ctx.items if item.type == "message")
    written = len(answer.say or "") + len(answer.tool or "")
    prompt, completion = -(-read // _LETTERS_PER_TOKEN), -(-written // _LETTERS_PER_TOKEN)
    return llm.CompletionUsage(
        prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion
    )
