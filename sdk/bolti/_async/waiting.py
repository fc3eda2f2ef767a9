"""Waiting for the end of a call: by the live log where there is one, by asking where there is not.

Rule: the record decides. The log only says when it is worth looking, so a lost event, a dropped stream or a restarted server
costs seconds, never the answer.
"""

from __future__ import annotations

import time

import httpx2

from bolti._answers import Conversation
from bolti._async.core import AsyncCore
from bolti._async.streams import AsyncEventConnection
from bolti._errors import (
    ApiError,
    BoltiError,
    ConnectionFailed,
    ServerError,
    TooManyRequests,
    UnexpectedAnswer,
    WaitTimedOut,
)
from bolti._operations import GET_CONVERSATION
from bolti._retrying import wait_seconds
from bolti._sending import Options
from bolti._waiting import async_sleep

LOOK_EVERY_SECONDS = 20.0  # over the 15 s between two signs of life of a live stream
LONGEST_POLL_SECONDS = 2.0
FIRST_POLL_SECONDS = 0.5


async def wait_until_ended(
    core: AsyncCore, conversation_id: str, *, timeout_seconds: float
) -> Conversation:
    """The record of the conversation once it is over. Raises WaitTimedOut, and ApiError where asking is refused."""
    deadline = time.monotonic() + timeout_seconds
    conversation: Conversation | None = None
    last_error: BoltiError | None = None
    bell = AsyncBell(core, conversation_id)
    try:
        while True:
            left = deadline - time.monotonic()
            try:
                conversation = await _look(core, conversation_id, left)
                last_error = None
            except (ConnectionFailed, ServerError, TooManyRequests) as error:
                last_error = error
            if conversation is not None and conversation.is_over:
                return conversation
            left = deadline - time.monotonic()
            if left <= 0:
                raise _too_late(conversation_id, conversation, timeout_seconds) from last_error
            await bell.wait(left)
    finally:
        await bell.aclose()


async def _look(core: AsyncCore, conversation_id: str, left: float) -> Conversation:
    limits = Options(
        timeout_seconds=max(1.0, min(left, core.options.timeout_seconds)),
        max_retries=core.options.max_retries,
    )
    hurried = core.with_options(limits)
    return await hurried.call(GET_CONVERSATION, conversation_id=conversation_id)


def _too_late(
    conversation_id: str, conversation: Conversation | None, timeout_seconds: float
) -> WaitTimedOut:
    state = f"was still {conversation.status}" if conversation else "could not be read"
    return WaitTimedOut(
        f"{conversation_id} {state} after {timeout_seconds:g} s. It goes on: wait again, or end it with "
        "conversations.end().",
        conversation=conversation,
    )


class AsyncBell:
    """Rings when a conversation may be over: its event came, the stream dropped, or it is time to look anyway."""

    def __init__(self, core: AsyncCore, conversation_id: str) -> None:
        self._core = core
        self._query = {"conversation_id": conversation_id, "type": "conversation.ended"}
        self._connection: AsyncEventConnection | None = None
        self._has_stream = True  # until the server says that it has none for this key
        self._silence_seconds = 0.0
        self._failures = 0
        self._poll_seconds = FIRST_POLL_SECONDS

    async def wait(self, longest_seconds: float) -> None:
        """Returns after `longest_seconds` at the latest."""
        if self._connection is not None and longest_seconds < self._silence_seconds:
            await self.aclose()  # a read could outlast the time that is left
        if not self._has_stream or longest_seconds < FIRST_POLL_SECONDS:
            await async_sleep(min(longest_seconds, self._poll_seconds))
            self._poll_seconds = min(LONGEST_POLL_SECONDS, self._poll_seconds * 1.5)
            return
        try:
            await self._listen(longest_seconds)
        except UnexpectedAnswer:
            self._has_stream = False
        except ApiError as error:
            await self._after_refusal(error, longest_seconds)
        except httpx2.TransportError:
            await self._after_drop(longest_seconds)

    async def aclose(self) -> None:
        """Safe to repeat."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.aclose()

    async def _listen(self, longest_seconds: float) -> None:
        began = time.monotonic()
        if self._connection is None:
            # Half: a read that starts late must not outlast the time that is left.
            self._silence_seconds = min(longest_seconds / 2, LOOK_EVERY_SECONDS)
            self._connection = await AsyncEventConnection.open(
                self._core,
                self._query,
                last_event_id=None,  # from the start of this conversation: the event may be there already
                silence_seconds=self._silence_seconds,
            )
        until = began + min(longest_seconds - self._silence_seconds, LOOK_EVERY_SECONDS)
        while time.monotonic() < until:
            messages = await self._connection.read()
            if messages is None:
                await self._after_drop(longest_seconds)
                return
            self._failures = 0
            if any(message.data for message in messages):
                return

    async def _after_drop(self, longest_seconds: float) -> None:
        await self.aclose()
        self._failures += 1
        await async_sleep(min(longest_seconds, LONGEST_POLL_SECONDS, wait_seconds(self._failures)))

    async def _after_refusal(self, error: ApiError, longest_seconds: float) -> None:
        if isinstance(error, ServerError | TooManyRequests):
            await self._after_drop(longest_seconds)
        else:
            self._has_stream = False  # e.g. the key may not read events: asking still works
