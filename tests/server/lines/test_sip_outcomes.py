"""What became of a dial, told from the SIP service's answer: every recorded exchange, and what providers write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bolti_server.lines.line import DialFailed
from bolti_server.lines.sip_outcomes import of_departure, of_error, of_sip_status

RECORDED: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "exchanges.json").read_text(encoding="utf-8")
)["exchanges"]
SHARED = Path(__file__).parents[4] / "shared" / "vendor" / "livekit-sip" / "exchanges.json"

EXPECTED = {
    "ring": "no_answer",
    "486": "busy",
    "600": "busy",
    "603": "declined",
    "607": "blocked_as_spam",
    "608": "blocked_as_spam",
    "480": "unreachable",
    "408": "unreachable",
    "404": "invalid_number",
    "484": "invalid_number",
    "410": "number_changed",
    "403": "destination_forbidden",
    "401": "provider_authentication_failed",
    "407": "provider_authentication_failed",
    "488": "media_incompatible",
    "487": "unreachable",
    "429": "provider_rate_limited",
    "500": "provider_unavailable",
    "502": "provider_unavailable",
    "503": "provider_unavailable",
    "504": "provider_unavailable",
    "closed_port": "trunk_unreachable",
    "no_dns": "trunk_misconfigured",
    "sip service out of CPU": "media_unavailable",
}
ANSWERED = {"cap", "bye"}


def understood(exchange: dict[str, Any]) -> DialFailed | None:
    body = exchange["body"]
    meta = body.get("meta", {})
    statuses = [event.get("changed", {}).get("sip.callStatus") for event in exchange["room_events"]]
    status = meta.get("sip_status_code")
    return of_error(
        body["code"],
        body["msg"],
        sip_status=None if status is None else int(status),
        sip_text=meta.get("sip_status"),
        has_rung="ringing" in statuses,
    )


def test_every_recorded_exchange_is_expected_here() -> None:
    assert {exchange["case"] for exchange in RECORDED} == ANSWERED | set(EXPECTED)


def test_the_copy_is_what_was_recorded() -> None:
    if not SHARED.exists():
        pytest.skip(f"NOT CHECKED: {SHARED} is not on this machine")

    assert json.loads(SHARED.read_text(encoding="utf-8"))["exchanges"] == RECORDED


@pytest.mark.parametrize(
    "exchange",
    [each for each in RECORDED if each["case"] not in ANSWERED],
    ids=lambda each: str(each["case"]),
)
def test_a_recorded_refusal_becomes_its_hangup_code(exchange: dict[str, Any]) -> None:
    failed = understood(exchange)

    assert failed is not None
    assert failed.code == EXPECTED[exchange["case"]]
    meta = exchange["body"].get("meta", {})
    assert failed.sip_status == (int(meta["sip_status_code"]) if meta else None)


def test_only_what_was_certainly_not_sent_may_be_tried_again() -> None:
    nothing_sent = {
        exchange["case"]
        for exchange in RECORDED
        if exchange["case"] not in ANSWERED
        and (failed := understood(exchange)) is not None
        and failed.is_nothing_sent
    }

    assert nothing_sent == {"no_dns", "sip service out of CPU"}


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("deadline_exceeded", "twirp error unknown: request timed out"),
        ("unavailable", "twirp error unknown: bad connection"),
        ("internal", "something broke"),
        ("canceled", "context canceled"),
        ("unknown", ""),
    ],
)
def test_an_error_that_does_not_name_itself_leaves_the_outcome_open(
    code: str, message: str
) -> None:
    assert of_error(code, message, has_rung=False) is None
    assert of_error(code, message, has_rung=True) is None


def test_a_dial_that_is_cancelled_before_its_time_is_no_ringing_time_out() -> None:
    words = "twirp error unknown: sip request timed out"

    assert of_error("canceled", words, has_rung=True, is_time_up=False) is None


@pytest.mark.parametrize(
    ("status", "text", "has_rung", "code"),
    [
        (487, "Request Terminated", True, "no_answer"),
        (408, "Request Timeout", True, "no_answer"),
        (603, "32203 carrier blocked call", False, "blocked_as_spam"),
        (603, "Call blocked: spam likely", False, "blocked_as_spam"),
        (603, "10001 Account is not active", False, "trunk_misconfigured"),
        (403, "32204 Caller ID not verified", False, "trunk_misconfigured"),
        (403, "Forbidden", False, "destination_forbidden"),
        (503, "32001 SIP: Trunk CPS limit exceeded", False, "provider_rate_limited"),
        (503, "Rate limit exceeded", False, "provider_rate_limited"),
        (503, "Service Unavailable", False, "provider_unavailable"),
        (429, "Provide Referrer Identity", False, "provider_unavailable"),
        (407, "Proxy Authentication Required", False, "provider_authentication_failed"),
        (604, "Does Not Exist Anywhere", False, "invalid_number"),
        (499, "Whatever", False, "unreachable"),
        (580, "Precondition Failure", False, "provider_unavailable"),
    ],
)
def test_status_and_text_of_a_provider(status: int, text: str, has_rung: bool, code: str) -> None:
    failed = of_sip_status(status, text, has_rung=has_rung)

    assert (failed.code, failed.sip_status) == (code, status)
    assert text in (failed.detail or "")


def test_the_providers_own_code_is_kept_beside_ours() -> None:
    assert of_sip_status(603, "32203 carrier blocked call", has_rung=False).provider_code == "32203"
    assert of_sip_status(486, "Busy Here", has_rung=False).provider_code is None
    assert of_sip_status(480, "to +12025550100", has_rung=False).provider_code is None


def test_wrong_credentials_are_told_though_no_status_comes() -> None:
    failed = of_error("failed_precondition", "max auth retry attempts reached", has_rung=False)

    assert failed is not None
    assert failed.code == "provider_authentication_failed"


def test_who_left_without_an_answer_and_without_a_reply_to_the_dial() -> None:
    assert of_departure("USER_REJECTED", has_rung=True).code == "declined"
    assert of_departure("USER_UNAVAILABLE", has_rung=True).code == "no_answer"
    assert of_departure("USER_UNAVAILABLE", has_rung=False).code == "unreachable"
    assert of_departure("CONNECTION_TIMEOUT", has_rung=True).code == "outcome_unknown"
