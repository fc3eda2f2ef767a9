"""CallLine: the telephone side of a conversation, the only thing that differs between kinds of calls.

`run_call(ctx, line, spec, …)` in `voice/call.py` speaks to this Protocol and nothing else; a simulated callee
(`simulated.line`) and a LiveKit room with a SIP participant or a browser (`lines.room`) each implement it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

import attrs
from livekit import rtc
from livekit.agents import AgentSession

from bolti_server.worker_api.messages import SipTrunk


@attrs.frozen
class DialFailed(Exception):
    """The callee was not reached. `code` is a hangup code (busy, no_answer, declined …); `sip_status` where one came."""

    code: str
    sip_status: int | None = None
    detail: str | None = None
    provider_code: str | None = None
    is_nothing_sent: bool = (
        False  # certainly: nobody's telephone rang, and the call may be tried again
    )


@attrs.frozen
class TransferFailed(Exception):
    """Nobody took the call over; it goes on as it was. `code` as of DialFailed."""

    code: str
    sip_status: int | None = None
    detail: str | None = None


class LineNotReady(Exception):
    """The line's own side can't be had: nobody was dialed, and another agent may have more luck."""


@attrs.frozen
class GuestDial:
    """Whom to call into a call, and by what. `trunk` None: the line needs none."""

    to_number: str
    from_number: str  # what it sees
    trunk: SipTrunk | None = None


class Guest(Protocol):
    """Who was brought into a call that goes on (`CallLine.bring_in`), and hears callee and agent as they hear it."""

    @property
    def has_left(self) -> bool: ...

    async def wait_until_left(self) -> None:
        """Returns when it has hung up; at once where it has."""
        ...

    def sound(self) -> AsyncIterator[rtc.AudioFrame]:
        """What it says, for the recording; ends when it has left."""
        ...


class CallLine(Protocol):
    async def attach(self, session: AgentSession[Any]) -> dict[str, Any]:
        """Sets the session's audio in and out; returns keyword arguments for `session.start`."""
        ...

    async def ready(self) -> None:
        """Returns when the line could be connected: what a line needs time for goes on while the agent gets ready. Raises
        LineNotReady."""
        ...

    async def connect(self, trunk: SipTrunk | None = None) -> None:
        """Dials by `trunk`, where the line needs one, and returns when the callee has answered. A line that somebody is on
        already (one that calls in, a browser, one that is taken over) waits for that instead. Reports ringing by
        `on_ringing`. Raises DialFailed."""
        ...

    async def send_dtmf(self, digits: str) -> None:
        """Presses keys (0-9, *, #, A-D; w is a pause of half a second); returns when they are all sent."""
        ...

    async def transfer(self, to_number: str) -> None:
        """Hands the callee over to `to_number`, cold: returns when that has answered, and from then on nothing that the
        agent says is heard by anybody; hang up then. Raises TransferFailed."""
        ...

    async def bring_in(self, dial: GuestDial) -> Guest:
        """Calls somebody into this call, for a warm transfer: returns when it has answered. From then on everybody hears
        everybody; hanging up ends it for all. Raises TransferFailed."""
        ...

    async def hangup(self) -> None:
        """Ends the telephone side; safe to repeat."""
        ...

    async def leave(self) -> bool:
        """The agent goes and another may take its place: the callee stays on the line, where the kind of line can do that
        (True); else it is hung up (False). Safe to repeat."""
        ...

    def on_ringing(self, callback: Callable[[], None]) -> None: ...

    def on_left(self, callback: Callable[[str], None]) -> None:
        """The callee is gone: called once with a hangup code (remote_hangup, media_lost …)."""
        ...

    def on_dtmf(self, callback: Callable[[str], None]) -> None: ...
