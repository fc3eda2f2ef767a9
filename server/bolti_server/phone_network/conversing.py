"""A call from its answer to the goodbye, whoever called whom."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping

from bolti_server.phone_network.behaviour import Behaviour
from bolti_server.phone_network.network import Leg, now
from bolti_server.phone_network.records import Dial
from bolti_server.simulated.phone import Phone

# livekit-sip's own defaults, of ringing and of the call: unsafe for who pays, so who dials should set less.
RINGING_SECONDS = 180.0
CALL_SECONDS = 24 * 3600.0
LOST_AFTER_SECONDS = 2.0
# After a transfer livekit-sip gives the provider this long to hang up first.
TRANSFERRED_LEAVES_AFTER_SECONDS = 1.0


async def converse(
    leg: Leg, script: Callable[[Phone], Awaitable[None]], max_seconds: float
) -> None:
    """Sound flows until somebody ends it; the telephone has left the room then, and the record has its outcome."""
    phone, record = leg.phone, leg.record
    behaviour = record.behaviour if isinstance(record, Dial) else None
    record.answered_at = now()
    is_lost = behaviour is Behaviour.LEG_LOST and max_seconds > LOST_AFTER_SECONDS
    record.outcome = await phone.talk(
        script,
        max_seconds=LOST_AFTER_SECONDS if is_lost else max_seconds,
    )
    if is_lost and record.outcome == "max_call_duration":
        record.outcome = "lost"
        await phone.leave("UNKNOWN_REASON")
        return
    if record.outcome == "transferred":
        await phone.is_gone_within(TRANSFERRED_LEAVES_AFTER_SECONDS)
    await phone.tell({"sip.callStatus": "hangup"})
    await phone.leave("CLIENT_INITIATED")


def dialog_ids() -> Mapping[str, str]:
    """The SIP dialog's ids, as they stand in the participant's attributes from the answer on."""
    return {"sip.callIDFull": secrets.token_hex(16), "sip.callTag": secrets.token_hex(8)}
