"""What makes a delivery provable: Standard Webhooks (https://www.standardwebhooks.com, specification 1.0.0).

Rules: `webhook-id` is the event's id and the same on every try; `webhook-timestamp` is the time of this try; what is
signed is `id.timestamp.body`, the body as the very bytes that are sent. An endpoint that opted in gets the product's
earlier headers too; their key is the whole secret as it was shown, `whsec_` included.
"""

from __future__ import annotations

import base64
import hmac
import secrets

SECRET_PREFIX = "whsec_"  # noqa: S105  a prefix, not a secret
SECRET_BYTES = 32  # the specification asks for 24 to 64

Headers = tuple[tuple[str, str], ...]


def make_secret() -> str:
    """A fresh signing secret: `whsec_` and the base64 of its key."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signature(secret: str, *, message_id: str, unix_time: int, body: bytes) -> str:
    """One `v1,…` of a `webhook-signature` header. Raises ValueError where `secret` is none of `make_secret`'s."""
    if not secret.startswith(SECRET_PREFIX):
        raise ValueError("a signing secret begins with whsec_")
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    message = f"{message_id}.{unix_time}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, message, "sha256")).decode()


def standard_headers(secret: str, *, message_id: str, unix_time: int, body: bytes) -> Headers:
    """The three headers of Standard Webhooks."""
    signed = signature(secret, message_id=message_id, unix_time=unix_time, body=body)
    return (
        ("webhook-id", message_id),
        ("webhook-timestamp", str(unix_time)),
        ("webhook-signature", signed),
    )


def legacy_headers(secret: str, *, event_type: str, unix_time: int, body: bytes) -> Headers:
    """The product's earlier headers: `X-Voiceai-Signature: t=<unix>,v1=<hex HMAC-SHA256 of "<t>.<body>">`."""
    digest = hmac.digest(secret.encode(), f"{unix_time}.".encode() + body, "sha256")
    return (
        ("X-Voiceai-Event", event_type),
        ("X-Voiceai-Signature", f"t={unix_time},v1={digest.hex()}"),
    )
