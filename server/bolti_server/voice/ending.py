"""How a call ends: many things may end it, the first one decides, once."""

from __future__ import annotations

import asyncio
import time

import attrs


@attrs.frozen
class End:
    """`code` is a hangup code; `at` is the monotonic second in which it was decided."""

    code: str
    detail: str | None = None
    sip_status: int | None = None
    is_message_left: bool = False  # in a mailbox
    at: float = attrs.field(factory=time.monotonic)


class Ending:
    def __init__(self) -> None:
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
    ) -> bool:
        """False: something else had ended the call before."""
        if self._end is not None:
            return False
        self._end = End(
            code=code, detail=detail, sip_status=sip_status, is_message_left=is_message_left
        )
        self._decided.set()
        return True

    async def wait(self) -> End:
        await self._decided.wait()
        assert self._end is not None
        return self._end
