"""Verify what Bolti sends (Standard Webhooks), before you believe a word of it.

```python
event = webhooks.verify(body, headers, secret)  # raises WebhookVerificationFailed: answer 400
```

Rules: the signature is over the bytes as they came, so hand over the raw body, not parsed JSON written again; the comparison
takes the same time wherever it fails; a message older or newer than the tolerance is refused, so that a recorded one can't
be sent again later. Within the tolerance the same event may come more than once (deliveries are repeated until answered with
2xx): `event.id` is the same each time, remember it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Iterable, Mapping
from typing import Protocol, runtime_checkable

from pydantic import ValidationError

from bolti._errors import WebhookVerificationFailed
from bolti._events import AnyEvent, event_of

__all__ = ["verify", "WebhookVerificationFailed"]

SECRET_PREFIX = "whsec_"  # noqa: S105 - what secrets start with


@runtime_checkable
class HasItems(Protocol):
    """The headers of any framework: a mapping, or something like one (`http.server`, Flask)."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Names and values."""
        ...


Headers = HasItems | Iterable[tuple[str | bytes, str | bytes]]


def verify(
    body: bytes | str,
    headers: Headers,
    secret: str,
    *,
    tolerance_seconds: float = 300,
) -> AnyEvent:
    """The event of a webhook that carries a good signature.

    `body`: as it came; `headers`: any mapping or list of pairs, in any case; `secret`: `whsec_…`, shown when the
    endpoint was made (while it is rotated either the old or the new one works). Raises WebhookVerificationFailed.
    Repeating is safe.
    """
    found = _named(headers)
    message_id, sent_at, signatures = (
        _required(found, f"webhook-{name}") for name in ("id", "timestamp", "signature")
    )
    content = _bytes(body) if isinstance(body, str) else bytes(body)
    signed = b".".join((_bytes(message_id), _bytes(sent_at), content))
    wanted = hmac.new(_key(secret), signed, hashlib.sha256).digest()
    if not _is_among(wanted, signatures):
        raise WebhookVerificationFailed(
            "wrong_signature",
            "No signature fits. Is the secret this endpoint's, and is the body the bytes that came?",
        )
    _check_age(sent_at, tolerance_seconds)
    try:
        return event_of(content)
    except ValidationError:
        raise WebhookVerificationFailed(
            "malformed", "The signature is good, but it is no event."
        ) from None


def _named(headers: Headers) -> dict[str, str]:
    pairs = headers.items() if isinstance(headers, HasItems) else headers
    return {_text(name).lower(): _text(value) for name, value in pairs}


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # a stranger's bytes must not raise


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _required(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name, "").strip()
    if not value:
        raise WebhookVerificationFailed("missing_header", f"The header {name} is missing.")
    return value


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.strip().removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise WebhookVerificationFailed(
            "bad_secret", "The secret is not one: it looks like whsec_ and base64."
        )
    return key


def _is_among(wanted: bytes, signatures: str) -> bool:
    """Looks at all of them, whichever fits; other versions than v1 are passed over."""
    is_good = False
    for signature in signatures.split():
        version, _, encoded = signature.partition(",")
        if version != "v1":
            continue
        try:
            given = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            continue  # not base64: not a signature
        is_good |= hmac.compare_digest(given, wanted)
    return is_good


def _check_age(sent_at: str, tolerance_seconds: float) -> None:
    if not (sent_at.isascii() and sent_at.isdigit() and len(sent_at) < 16):
        raise WebhookVerificationFailed("malformed", "webhook-timestamp is not a Unix time.")
    age = time.time() - int(sent_at)
    if age > tolerance_seconds:
        raise WebhookVerificationFailed(
            "too_old", f"It was sent {age:.0f} s ago; {tolerance_seconds:.0f} s are allowed."
        )
    if age < -tolerance_seconds:
        raise WebhookVerificationFailed(
            "too_new", f"It is from {-age:.0f} s in the future. Is this machine's clock right?"
        )
