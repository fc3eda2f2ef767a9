"""CallLine: the telephone side of a conversation, the only thing that differs between kinds of calls.

`run_call(ctx, line, spec, …)` in `voice/call.py` speaks to this Protocol and nothing else; a simulated callee, a
browser and a LiveKit room with SIP each implement it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import attrs
from livekit.agents import AgentSession


@attrs.frozen
class DialFailed(Exception):
    """The callee was not reached. `code` is a hangup code (busy, no_answer, declined …); `sip_status` where one came."""

    code: str
    sip_status: int | None = None
    detail: str | None = None


@attrs.frozen
class TransferFailed(Exception):
    """Nobody took the call over; it goes on as it was. `code` as of DialFailed."""

    code: str
    sip_status: int | None = None
    detail: str | None = None


class CallLine(Protocol):
    async def attach(self, session: AgentSession[Any]) -> dict[str, Any]:
        """Sets the session's audio in and out; returns keyword arguments for `session.start`."""
        ...

    async def connect(self) -> None:
        """Dials and returns when the callee has answered. Raises DialFailed. Reports ringing by `on_ringing`."""
        ...

    async def send_dtmf(self, digits: str) -> None:
        """Presses keys (0-9, *, #, A-D; w is a pause of half a second); returns when they are all sent."""
        ...

    async def transfer(self, to_number: str) -> None:
        """Hands the callee over to `to_number`, cold: returns when that has answered, and from then on nothing that the
        agent says is heard by anybody; hang up then. Raises TransferFailed."""
        ...

    async def hangup(self) -> None:
        """Ends the telephone side; safe to repeat."""
        ...

    def on_ringing(self, callback: Callable[[], None]) -> None: ...

    def on_left(self, callback: Callable[[str], None]) -> None:
        """The callee is gone: called once with a hangup code (remote_hangup, media_lost …)."""
        ...

    def on_dtmf(self, callback: Callable[[str], None]) -> None: ...
