"""Which webhooks are believed. `standardwebhooks` is the oracle: it signs, we verify."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from http.client import HTTPMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook
from tests.sdk.support.contract import EVENTS
from tests.sdk.support.events import golden

import bolti
from bolti import webhooks

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
OTHER = "whsec_" + base64.b64encode(b"another secret of 32 bytes length").decode()
BODY = json.dumps(golden("conversation.ended")).encode()
EVENT_ID = golden("conversation.ended")["id"]


def headers(body: bytes = BODY, *, secret: str = SECRET, age_seconds: float = 0) -> dict[str, str]:
    sent_at = datetime.now(UTC) - timedelta(seconds=age_seconds)
    return {
        "webhook-id": EVENT_ID,
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": Webhook(secret).sign(EVENT_ID, sent_at, body.decode()),
    }


def refusal(body: bytes, given_headers: Any, secret: str = SECRET) -> str:
    with pytest.raises(bolti.WebhookVerificationFailed) as caught:
        webhooks.verify(body, given_headers, secret)
    assert secret not in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize("path", sorted(EVENTS.glob("*.json")), ids=lambda path: path.stem)
def test_every_event_of_the_contract_is_verified_and_typed(path: Any) -> None:
    body = path.read_bytes()
    event = webhooks.verify(body, headers(body), SECRET)
    assert event.type == path.stem
    assert type(event) is not bolti.Event


def test_a_good_one_is_an_event() -> None:
    event = webhooks.verify(BODY, headers(), SECRET)
    assert isinstance(event, bolti.ConversationEvent)
    assert event.data.object.hangup is not None
    assert webhooks.verify(BODY.decode(), headers(), SECRET) == event


def test_headers_of_any_framework_will_do() -> None:
    message = HTTPMessage()
    for name, value in headers().items():
        message[name.title()] = value
    pairs = [(name.upper().encode(), value.encode()) for name, value in headers().items()]
    for form in (message, pairs, {name.title(): value for name, value in headers().items()}):
        assert webhooks.verify(BODY, form, SECRET).id == EVENT_ID


def test_one_of_several_signatures_is_enough() -> None:
    """While a secret is rotated, there are two."""
    good, bad = headers()["webhook-signature"], headers(secret=OTHER)["webhook-signature"]
    for both in (
        f"{good} {bad}",
        f"{bad} {good}",
        f"v1a,xx v2,yy nonsense {good}",
        f"v1,=== {good}",
    ):
        assert (
            webhooks.verify(BODY, {**headers(), "webhook-signature": both}, SECRET).id == EVENT_ID
        )


def test_another_secret_body_id_or_time_is_refused() -> None:
    assert refusal(BODY, headers(secret=OTHER)) == "wrong_signature"
    assert refusal(BODY + b" ", headers()) == "wrong_signature"
    assert refusal(BODY, {**headers(), "webhook-id": "evt_other"}) == "wrong_signature"
    stamp = str(int(headers()["webhook-timestamp"]) + 1)
    assert refusal(BODY, {**headers(), "webhook-timestamp": stamp}) == "wrong_signature"
    unknown_version = headers()["webhook-signature"].replace("v1,", "v2,")
    assert refusal(BODY, {**headers(), "webhook-signature": unknown_version}) == "wrong_signature"


def test_an_old_one_is_refused_however_well_it_is_signed() -> None:
    assert refusal(BODY, headers(age_seconds=400)) == "too_old"
    assert refusal(BODY, headers(age_seconds=-400)) == "too_new"
    assert webhooks.verify(BODY, headers(age_seconds=290), SECRET).id == EVENT_ID
    assert (
        webhooks.verify(BODY, headers(age_seconds=400), SECRET, tolerance_seconds=500).id
        == EVENT_ID
    )


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_named(name: str) -> None:
    given_headers = headers()
    del given_headers[name]
    assert refusal(BODY, given_headers) == "missing_header"
    assert refusal(BODY, {**headers(), name: "  "}) == "missing_header"


@pytest.mark.parametrize("stamp", ["soon", "1e9", "-1", "١٢٣", "9" * 30])
def test_a_signed_time_that_is_none_is_refused(stamp: str) -> None:
    assert refusal(BODY, {**headers(), "webhook-timestamp": stamp}) in (
        "wrong_signature",
        "malformed",
    )


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_***", "whsec_é"])
def test_a_secret_that_is_none_verifies_nothing(secret: str) -> None:
    with pytest.raises(bolti.WebhookVerificationFailed) as caught:
        webhooks.verify(BODY, headers(), secret)
    assert caught.value.reason == "bad_secret"


def test_a_signed_body_that_is_no_event_is_refused() -> None:
    for body in (b"", b"{}", b"[]", b"\x00"):
        assert refusal(body, headers(body)) == "malformed"


def test_an_event_of_tomorrow_is_believed() -> None:
    body = json.dumps({**golden("test.ping"), "type": "campaign.paused", "colour": "red"}).encode()
    event = webhooks.verify(body, headers(body), SECRET)
    assert type(event) is bolti.Event
    assert event.model_extra == {"colour": "red"}


@given(
    st.binary(max_size=60),
    st.dictionaries(
        st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]),
        st.text(max_size=30),
    ),
)
def test_strangers_bytes_raise_nothing_else(body: bytes, given_headers: dict[str, str]) -> None:
    with pytest.raises(bolti.WebhookVerificationFailed):
        webhooks.verify(body, given_headers, SECRET)
