"""Language models that fail as vendors do: for the place of a provider in `Models`."""

from __future__ import annotations

import asyncio
from typing import Any

from livekit.agents import APIStatusError, llm
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions


class FailingLLM(llm.LLM[str]):
    """`faults` are taken one by one: a status, or None for an answer that never comes; then it answers `reply`."""

    def __init__(self, *faults: int | None, reply: str = "Fine again.") -> None:
        super().__init__()
        self.faults = list(faults)
        self.reply = reply

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        **_: Any,
    ) -> llm.LLMStream:
        return _Stream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class _Stream(llm.LLMStream):
    async def _run(self) -> None:
        model = self._llm
        assert isinstance(model, FailingLLM)
        if not model.faults:
            delta = llm.ChoiceDelta(role="assistant", content=model.reply)
            self._event_ch.send_nowait(llm.ChatChunk(id="1", delta=delta))
            return
        status = model.faults.pop(0)
        if status is None:
            await asyncio.Event().wait()
            return
        raise APIStatusError("it broke", status_code=status, retryable=False)
