"""Who picks up, and what the wire says where nobody does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bolti_server.phone_network.callees import Wishes, callee_for, destination_of, wishes_of
from bolti_server.phone_network.sip_answers import (
    NOT_ANSWERED,
    OUT_OF_CPU,
    error_of,
    not_resolved,
    refused_with,
)
from bolti_server.phone_network.twirp import TwirpError
from bolti_server.simulated.callees import ANSWERS, BUSY, BY_DIGITS, VOICEMAIL

RECORDED: dict[str, dict[str, Any]] = {
    each["case"]: each
    for each in json.loads(
        (Path(__file__).parents[1] / "lines" / "exchanges.json").read_text("utf-8")
    )["exchanges"]
}
REFUSED = [case for case in RECORDED if case.isdigit()]
NOBODY = Wishes()


def told(error: TwirpError) -> dict[str, Any]:
    return {"http_status": error.http_status, "body": json.loads(error.to_json())}


def recorded(case: str) -> dict[str, Any]:
    return {name: RECORDED[case][name] for name in ("http_status", "body")}


def without_details(answer: dict[str, Any]) -> dict[str, Any]:
    answer["body"].get("meta", {}).pop("error_details", None)
    return answer


@pytest.mark.parametrize("case", REFUSED)
def test_a_sip_status_comes_back_as_it_was_recorded(case: str) -> None:
    refused = refused_with(int(case))
    left = RECORDED[case]["room_events"][-1]
    assert without_details(told(refused.error)) == without_details(recorded(case))
    assert refused.leave_reason == left["reason"]


# Of livekit-sip 1.10.0 as it came (the recording says only what is in it).
DETAILS = {
    486: "CAgSKUlOVklURSBmYWlsZWQ6IHNpcCBzdGF0dXM6IDQ4NjogQnVzeSBIZXJlGjcKJXR5cGUuZ29vZ2xlYXBpcy5jb20vbGl2ZWtpdC5TSVBTdG"
    "F0dXMSDgjmAxIJQnVzeSBIZXJl",
    603: "CAcSQHVuZXhwZWN0ZWQgc3RhdHVzIGZyb20gSU5WSVRFIHJlc3BvbnNlOiBzaXAgc3RhdHVzOiA2MDM6IERlY2xpbmUaNQoldHlwZS5nb29nbG"
    "VhcGlzLmNvbS9saXZla2l0LlNJUFN0YXR1cxIMCNsEEgdEZWNsaW5l",
}


@pytest.mark.parametrize("status", DETAILS)
def test_the_error_s_details_are_those_of_the_real_service(status: int) -> None:
    assert refused_with(status).error.meta["error_details"] == DETAILS[status]


def test_a_refused_transfer_is_told_in_the_real_service_s_words() -> None:
    busy = error_of(486, "call transfer failed: ")
    assert (busy.code, busy.msg) == (
        "resource_exhausted",
        "twirp error unknown: call transfer failed: sip status: 486: Busy Here",
    )
    declined = error_of(603, "")
    assert (declined.code, declined.msg) == (
        "permission_denied",
        "twirp error unknown: sip status: 603: Decline",
    )
    assert declined.meta["error_details"] == (
        "CAcSGHNpcCBzdGF0dXM6IDYwMzogRGVjbGluZRo1CiV0eXBlLmdvb2dsZWFwaXMuY29tL2xpdmVraXQuU0lQU3RhdHVzEgwI2wQSB0RlY2xpbmU="
    )


def test_what_was_not_refused_by_sip_comes_back_as_it_was_recorded() -> None:
    assert told(NOT_ANSWERED.error) == recorded("ring") == recorded("closed_port")
    assert told(OUT_OF_CPU) == recorded("sip service out of CPU")
    nowhere = told(not_resolved("no-such-host.invalid").error)
    assert nowhere["http_status"] == 400
    begins = 'twirp error unknown: fail to resolve target for "no-such-host.invalid": lookup '
    assert nowhere["body"]["msg"].startswith(begins)
    assert recorded("no_dns")["body"]["msg"].startswith(begins)


def test_any_final_status_can_be_told() -> None:
    for status in range(400, 700):
        assert 400 <= refused_with(status).error.http_status < 600


@pytest.mark.parametrize("digits", BY_DIGITS)
def test_a_number_has_the_callee_that_it_has_on_the_simulated_line(digits: str) -> None:
    number = f"+120255501{digits}"
    callee = destination_of("sip.provider.example:5060", number, NOBODY).callee
    assert callee is BY_DIGITS[digits]
    refusal = callee.refusal
    if refusal is not None and refusal.sip_status is not None:
        meta = refused_with(refusal.sip_status).error.meta
        assert meta["sip_status_code"] == str(refusal.sip_status)


def test_the_request_s_wishes_count_more_than_the_number() -> None:
    wishes = wishes_of('{"voice": "speech", "scenario": "voicemail", "script": null}')
    assert wishes == Wishes(voice="speech", scenario="voicemail")
    assert destination_of("any.example", "+12025550101", wishes).callee is VOICEMAIL
    script = '{"name": "no", "callee": [{"fail": "number_changed"}]}'
    callee = destination_of("any.example", "+12025550101", Wishes(script=script)).callee
    assert callee is not None
    assert callee.refusal is not None
    assert (callee.refusal.code, callee.refusal.sip_status) == ("number_changed", 410)


@pytest.mark.parametrize("metadata", ["", "hello", "[]", '"x"', '{"voice": "deep"}', "{", "\ud800"])
def test_metadata_of_somebody_else_says_nothing(metadata: str) -> None:
    assert wishes_of(metadata) == NOBODY


def test_a_scenario_that_there_is_not_is_said_so() -> None:
    with pytest.raises(ValueError, match="no scenario 'sings'"):
        callee_for("+12025550100", "sings", None)
    with pytest.raises(ValueError, match="can't be read"):
        callee_for("+12025550100", None, "name: [")


def test_hosts_that_misbehave() -> None:
    def at(host: str) -> object:
        return destination_of(host, "+12025550101", NOBODY)

    assert destination_of("sip.example.com", "+12025550101", NOBODY).callee is BUSY
    assert destination_of("sip.example.com", "+919876543210", NOBODY).callee is BY_DIGITS["10"]
    assert destination_of("sip.example.com", "+919876543299", NOBODY).callee is ANSWERS
    refusing = destination_of("SIP-486.test:5080", "+12025550100", NOBODY).callee
    assert refusing is not None
    assert refusing.refusal is not None
    assert (refusing.refusal.sip_status, refusing.ring_ms) == (486, 0)
    ringing = destination_of("ringing.test", "+12025550100", NOBODY).callee
    assert ringing is not None
    assert ringing.ring_ms is None
    silent = destination_of("silent.test.", "+12025550100", NOBODY)
    assert (silent.callee, silent.is_resolved) == (None, True)
    nowhere = destination_of("pbx.invalid", "+12025550100", NOBODY)
    assert (nowhere.callee, nowhere.is_resolved) == (None, False)
