"""How a call ends: many things may end it, the first one decides, once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import attrs


@attrs.frozen
class End:
    """`code` is a hangup code; `at` is the monotonic second in which it was decided."""

    code: str
    detail: str | None = None
    sip_status: int | None = None
    is_message_left: bool = False  # in a mailbox
    is_goodbye_said: bool = False  # the callee knows that it is over
    provider_code: str | None = None
    is_nothing_sent: bool = False  # the dial certainly reached nobody
    is_line_kept: bool = False  # others talk on: nobody is hung up
    at: float = attrs.field(factory=time.monotonic)


class Ending:
    def __init__(self, on_decided: Callable[[], None] = lambda: None) -> None:
        self._on_decided = on_decided
        self._decided = asyncio.Event()
        self._end: End | None = None

    @property
    def end(self) -> End | None:
        return self._end

    def decide(
        self,
        code: str,
        detail: str | None = None,
        sip_status: int | None = None,
        *,
        is_message_left: bool = False,
        is_goodbye_said: bool = False,
        provider_code: str | None = None,
        is_nothing_sent: bool = False,
        is_line_kept: bool = False,
    ) -> bool:
        """False: something else had ended the call before."""
        if self._end is not None:
            return False
        self._end = End(
            code=code,
            detail=detail,
            sip_status=sip_status,
            is_message_left=is_message_left,
            is_goodbye_said=is_goodbye_said,
            provider_code=provider_code,
            is_nothing_sent=is_nothing_sent,
            is_line_kept=is_line_kept,
        )
        self._decided.set()
        self._on_decided()
        return True

    def opted_out(self, key: str | None, pressed: str) -> None:
        """Keys were pressed: where one is the agent's `opt_out_key` (None: it has none), the agent hangs up.

        Whom it must not call again is the server's to remember: it reads the same keys in the turn.
        """
        if key is not None and key in pressed:
            self.decide("agent_hangup", "The other side pressed the key for no more calls.")

    async def wait(self) -> End:
        await self._decided.wait()
        assert self._end is not None
        return self._end
