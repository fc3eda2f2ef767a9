"""One answer of the language model, from whichever vendor gives it in time.

Rules: every wait has our own limit, since a plugin's own is not one (a stream of comments never ends it); an answer
that breaks off is begun anew by another vendor; a tool call that has arrived is never asked for a second time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from livekit.agents import APIConnectOptions, APIError, APITimeoutError, llm
from livekit.agents.types import NOT_GIVEN, NotGivenOr

from bolti_server.voice.fallback import PAUSES_SECONDS, Vendor, Vendors

# A callee hears at most 5 s of silence: half a second to a second until the model is asked, these, then the voice.
ANSWER_SECONDS = 3.2  # for the first token, over all attempts
FIRST_TOKEN_SECONDS = 2.2  # of one attempt, where another vendor is left
TOKEN_SECONDS = 2.5  # between two tokens
ANEW_SECONDS = 2.0  # for the first token of the vendor that begins a broken answer anew
LEAST_SECONDS = 0.4  # less than this is no chance

Asked = tuple[llm.ChatContext, list[llm.Tool], NotGivenOr[llm.ToolChoice]]


class LlmChain:
    def __init__(self, vendors: Vendors[llm.LLM[Any]]) -> None:
        self._vendors = vendors

    async def answer(
        self,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool],
        tool_choice: NotGivenOr[llm.ToolChoice] = NOT_GIVEN,
    ) -> AsyncGenerator[llm.ChatChunk, None]:
        """Chunks as they come. Raises what the last vendor raised when none has answered to the end."""
        progress = _Progress()
        attempts = self._vendors.attempts()
        for index, vendor in enumerate(attempts):
            others = [each for each in attempts[index + 1 :] if each is not vendor]
            if index and attempts[index - 1] is vendor:
                await asyncio.sleep(PAUSES_SECONDS[index - 1])
            if not progress.may_ask(is_first=index == 0):
                break
            try:
                patience = progress.patience(has_another=bool(others))
                async for chunk in _asked(vendor, (chat_ctx, tools, tool_choice), patience):
                    for each in progress.passed(chunk):
                        yield each
            except Exception as error:  # noqa: BLE001 - the edge to a vendor's plugin, which may raise anything
                self._vendors.failed(vendor, error)
                progress.failed(error)
                if progress.has_called:
                    return
                if self._vendors.have_all_refused() or (progress.has_begun and not others):
                    break
            else:
                self._vendors.worked(vendor)
                return
        assert progress.problem is not None, "there is at least one attempt"
        raise progress.problem


class _Progress:
    """Of one answer over all attempts: what has been given out, and how long one may wait for more."""

    def __init__(self) -> None:
        self.problem: Exception | None = None
        self.has_begun = False
        self.has_called = False
        self._is_anew = False
        self._ends_at = _now() + ANSWER_SECONDS

    def may_ask(self, *, is_first: bool) -> bool:
        return is_first or self._ends_at - _now() >= LEAST_SECONDS

    def patience(self, *, has_another: bool) -> float:
        """Seconds for the first token of the next attempt."""
        left = self._ends_at - _now()
        return min(FIRST_TOKEN_SECONDS, left) if has_another else left

    def passed(self, chunk: llm.ChatChunk) -> list[llm.ChatChunk]:
        """The chunk; before the first of an answer that begins anew, a space."""
        parts = [chunk]
        if chunk.has_response():
            if self._is_anew:
                parts.insert(0, _space())
            self.has_begun, self._is_anew = True, False
        self.has_called |= bool(chunk.delta and chunk.delta.tool_calls)
        return parts

    def failed(self, error: Exception) -> None:
        self.problem = error
        self._is_anew = self.has_begun
        if self.has_begun:
            self._ends_at = _now() + ANEW_SECONDS


async def _asked(
    vendor: Vendor[llm.LLM[Any]], asked: Asked, patience: float
) -> AsyncGenerator[llm.ChatChunk, None]:
    chat_ctx, tools, tool_choice = asked
    options = APIConnectOptions(max_retry=0, timeout=patience)
    is_answer = False
    async with vendor.made.chat(
        chat_ctx=chat_ctx, tools=tools, tool_choice=tool_choice, conn_options=options
    ) as stream:
        limit = _now() + patience
        while True:
            try:
                async with asyncio.timeout_at(limit):
                    chunk = await anext(stream)
            except StopAsyncIteration:
                break
            except TimeoutError:
                raise APITimeoutError(f"no token within {patience:.1f} s") from None
            is_answer |= chunk.has_response() or chunk.usage is not None
            yield chunk
            if chunk.has_response():  # others may come for ever
                patience = TOKEN_SECONDS
                limit = _now() + patience
    if not is_answer:  # one without words is an answer too, where the vendor has counted it
        raise APIError("the answer broke off before it began")


def _space() -> llm.ChatChunk:
    """Between the half sentence that was said and the answer that begins anew."""
    return llm.ChatChunk(id="anew", delta=llm.ChoiceDelta(role="assistant", content=" "))


def _now() -> float:
    return asyncio.get_running_loop().time()
