"""Signatures against the reference implementation; waits against product.md."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from bolti_server.webhooks.backoff import JITTER, MOST_TRIES, WAITS_SECONDS, wait_seconds
from bolti_server.webhooks.signing import (
    legacy_headers,
    make_secret,
    signature,
    standard_headers,
)


@given(content=st.dictionaries(st.text(max_size=20), st.text(max_size=50), max_size=5))
def test_the_reference_implementation_accepts_our_signatures(content: dict[str, str]) -> None:
    secret, body = make_secret(), msgspec.json.encode(content)
    now = int(datetime.now(UTC).timestamp())
    headers = dict(standard_headers(secret, message_id="evt_1", unix_time=now, body=body))
    verifier = Webhook(secret)
    assert headers["webhook-signature"] == verifier.sign(
        "evt_1", datetime.fromtimestamp(now, UTC), body.decode()
    )
    assert verifier.verify(body, headers) == content


def test_the_reference_implementation_refuses_a_changed_body_and_another_secret() -> None:
    secret = make_secret()
    now = int(datetime.now(UTC).timestamp())
    headers = dict(standard_headers(secret, message_id="evt_1", unix_time=now, body=b'{"a":1}'))
    assert Webhook(secret).verify(b'{"a":1}', headers) == {"a": 1}
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(b'{"a":2}', headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(make_secret()).verify(b'{"a":1}', headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(b'{"a":1}', {**headers, "webhook-id": "evt_2"})


def test_secrets_have_the_shape_of_the_specification_and_never_repeat() -> None:
    made = {make_secret() for _ in range(100)}
    assert len(made) == 100
    assert all(each.startswith("whsec_") and len(each) == 6 + 44 for each in made)


@pytest.mark.parametrize("secret", ["", "secret", "whsec_not base64!"])
def test_a_malformed_secret_is_an_error(secret: str) -> None:
    with pytest.raises(ValueError, match=r"whsec_|base64|Non-|discontinuous|padding"):
        signature(secret, message_id="evt_1", unix_time=1, body=b"")


def test_the_earlier_headers_sign_time_and_body_in_hex() -> None:
    headers = dict(
        legacy_headers("whsec_x", event_type="test.ping", unix_time=1_700_000_000, body=b"{}")
    )
    digest = hmac.new(b"whsec_x", b"1700000000.{}", hashlib.sha256).hexdigest()
    assert headers == {
        "X-Voiceai-Event": "test.ping",
        "X-Voiceai-Signature": f"t=1700000000,v1={digest}",
    }


def test_the_waits_are_those_of_the_product() -> None:
    middle = [wait_seconds(tries, 0.5) for tries in range(MOST_TRIES)]
    hours = 3600
    assert middle == pytest.approx(
        [0, 5, 300, 1800, *(n * hours for n in (2, 5, 10, 14, 20, 24, 24))]
    )
    assert wait_seconds(MOST_TRIES, 0.5) is None
    assert 99 < sum(WAITS_SECONDS) / hours < 100


@given(tries=st.integers(0, MOST_TRIES - 1), luck=st.floats(0, 1))
def test_a_wait_is_at_most_a_fifth_off(tries: int, luck: float) -> None:
    wait = wait_seconds(tries, luck)
    assert wait is not None
    assert abs(wait - WAITS_SECONDS[tries]) <= WAITS_SECONDS[tries] * JITTER * 1.000001
