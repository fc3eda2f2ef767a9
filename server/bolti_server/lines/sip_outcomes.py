"""What the SIP service's answer to a dial means. Pure: it is told the answer and whether it had rung.

Rules: a final SIP status is an answer, and the table of product.md (section 6) decides; the provider's own code in the
text refines it, since 603 is "declined" only where no code says otherwise. Without a status only the few errors that name
themselves are understood; whatever else may have rung somewhere, and whoever dialed has to look into the room.

Sources: 24 recorded exchanges with livekit-sip 1.10 (tests/server/lines/exchanges.json, all of them tested); the
providers' codes from Twilio's documentation of Elastic SIP Trunking, Vobiz's and Plivo's (telephony.md, section 5).
"""

from __future__ import annotations

import re

from bolti_server.lines.line import DialFailed

# What the media server says when it has not sent anything to anybody.
_NOTHING_SENT = (
    # The SIP service refuses at its door: it takes no call when it has no CPU left.
    ("cpu exhausted", "media_unavailable"),
    # psrpc: no SIP service claimed the request (pkg/client/rpc.go: ErrNoResponse, before any is selected).
    ("no response from servers", "media_unavailable"),
    ("fail to resolve target", "trunk_misconfigured"),
    ("no such host", "trunk_misconfigured"),
)
_AUTHENTICATION = ("required auth", "requires auth", "max auth retry")
_BY_STATUS = {
    401: "provider_authentication_failed",
    403: "destination_forbidden",
    404: "invalid_number",
    407: "provider_authentication_failed",
    410: "number_changed",
    480: "unreachable",
    484: "invalid_number",
    486: "busy",
    488: "media_incompatible",
    600: "busy",
    603: "declined",
    604: "invalid_number",
    606: "media_incompatible",
    607: "blocked_as_spam",
    608: "blocked_as_spam",
}
# X-Twilio-Error, or a text of a provider that names it.
_BY_PROVIDER_CODE = {
    "10001": "trunk_misconfigured",  # the account is suspended; comes with a 603
    "32001": "provider_rate_limited",
    "32101": "invalid_number",
    "32200": "provider_authentication_failed",
    "32203": "blocked_as_spam",
    "32204": "trunk_misconfigured",  # the caller id is not ours to show
}
_PROVIDER_CODE = re.compile(r"(?<![\d.])([1-6]\d{4})(?![\d.])")
_BLOCKED = re.compile(r"carrier blocked|spam|robocall|reputation", re.IGNORECASE)
# 429 is also "Provide Referrer Identity" (RFC 3892): only what speaks of a rate is one.
_RATE = re.compile(r"too many|rate|calls per second|\bcps\b|concurren|limit|throttl", re.IGNORECASE)
_LONGEST_DETAIL = 300


def of_error(
    code: str,
    message: str,
    *,
    sip_status: int | None = None,
    sip_text: str | None = None,
    has_rung: bool,
    is_time_up: bool = True,
) -> DialFailed | None:
    """`code` and `message` of the Twirp error, with the SIP status where it has one. `is_time_up`: the ringing time-out is
    over (a room that was closed while it rang answers in the same words). None: nobody can tell from this what became of
    the dial."""
    if sip_status is not None:
        return of_sip_status(sip_status, sip_text or message, has_rung=has_rung)
    said = message.lower()
    for words, hangup_code in _NOTHING_SENT:
        if words in said:
            return DialFailed(hangup_code, None, _detail(message), is_nothing_sent=True)
    if any(words in said for words in _AUTHENTICATION):
        return DialFailed("provider_authentication_failed", None, _detail(message))
    if code == "canceled" and "timed out" in said and is_time_up:
        if has_rung:
            return DialFailed("no_answer", None, "It rang, and nobody picked up.")
        return DialFailed("trunk_unreachable", None, "The trunk gave no sign of ringing in time.")
    return None


def of_sip_status(status: int, text: str, *, has_rung: bool) -> DialFailed:
    """A final answer of the other side."""
    found = _PROVIDER_CODE.search(text)
    provider_code = found.group(1) if found else None
    code = _BY_PROVIDER_CODE.get(provider_code or "") or _code_of(status, text, has_rung=has_rung)
    return DialFailed(code, status, _detail(f"SIP {status}: {text}"), provider_code)


def _code_of(status: int, text: str, *, has_rung: bool) -> str:
    if status == 603 and _BLOCKED.search(text):
        return "blocked_as_spam"
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status in (408, 487):
        return "no_answer" if has_rung else "unreachable"
    if status in (429, 503):
        return "provider_rate_limited" if _RATE.search(text) else "provider_unavailable"
    if 400 <= status < 500:
        return "unreachable"
    return "provider_unavailable" if 500 <= status < 600 else "declined"


def of_departure(reason: str, *, has_rung: bool) -> DialFailed:
    """The participant that was dialed has left without an answer, and no reply to the dial came: `reason` as the media
    server names it."""
    detail = f"It left without an answer ({reason}), and the dial was not replied to."
    match reason:
        case "USER_REJECTED":
            return DialFailed("declined", None, detail)
        case "USER_UNAVAILABLE":
            return DialFailed("no_answer" if has_rung else "unreachable", None, detail)
        case _:
            return DialFailed("outcome_unknown", None, detail)


def _detail(text: str) -> str:
    return text.removeprefix("twirp error unknown: ")[:_LONGEST_DETAIL]
