"""What the phone network remembers: every request to dial, and every call that came in.

It is the judge of "at most one dial": a request stands here from the moment it arrived, whatever became of it.
"""

from __future__ import annotations

from datetime import datetime

import attrs

from bolti_server.phone_network.behaviour import Behaviour

KEPT = 10_000


@attrs.define(eq=False)
class Record:
    """One telephone in one room. `outcome` is None while it goes on; `heard` and `said` are the words of the telephone's
    side, `keys` those that the agent pressed. All three are filled in at the end."""

    room: str
    identity: str
    at: datetime
    sip_call_id: str = ""
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: str | None = None
    sip_status: int | None = None
    keys: str = ""
    heard: list[str] = attrs.Factory(list)
    said: list[str] = attrs.Factory(list)


@attrs.define(eq=False, kw_only=True)
class Dial(Record):
    """A request to dial `number`. `is_dialed` False: nothing was sent to anybody."""

    number: str
    hostname: str
    behaviour: Behaviour | None = None
    is_dialed: bool = False
    ringing_at: datetime | None = None
    transferred_to: str | None = None


@attrs.define(eq=False, kw_only=True)
class IncomingCall(Record):
    """Somebody of the simulated network called one of our numbers. `sip_status` is what the caller got: 200 where it was
    answered."""

    from_number: str
    to_number: str
    trunk_id: str = ""
    rule_id: str = ""
    transferred_to: str | None = None
