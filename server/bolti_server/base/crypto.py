"""Secrets at rest, tokens, and signatures of ours.

Rules: a credential is sealed together with the place where it lies (workspace, table, row, field), so that a copied
ciphertext opens nowhere else; a token is stored only as a keyed hash; each purpose has a key of its own, all derived from
BOLTI_SECRET_KEY (HKDF-SHA256, RFC 5869).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import string
import zlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
TOKEN_RANDOM_LENGTH = 30
TOKEN_CHECKSUM_LENGTH = 6
_NONCE_BYTES = 12
_FORMAT = b"\x01"  # first byte of a ciphertext: AES-256-GCM, key derived as below


class Undecryptable(Exception):
    """The ciphertext was made with another key, for another place, or was changed."""


class Vault:
    """Everything that needs BOLTI_SECRET_KEY."""

    def __init__(self, secret_key: str) -> None:
        master = secret_key.encode()
        self._aead = AESGCM(_derive(master, b"bolti credentials"))
        self._token_pepper = _derive(master, b"bolti tokens")
        self._signing = _derive(master, b"bolti signatures")

    def encrypt(
        self, plain: bytes, *, workspace_id: str, table: str, row_id: str, field: str
    ) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        place = _place(workspace_id, table, row_id, field)
        return _FORMAT + nonce + self._aead.encrypt(nonce, plain, place)

    def decrypt(
        self, sealed: bytes, *, workspace_id: str, table: str, row_id: str, field: str
    ) -> bytes:
        """What `encrypt` got. Raises Undecryptable."""
        if sealed[:1] != _FORMAT or len(sealed) < 1 + _NONCE_BYTES:
            raise Undecryptable(f"{table}.{field} of {row_id} has no known format")
        nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return self._aead.decrypt(nonce, body, _place(workspace_id, table, row_id, field))
        except InvalidTag:
            raise Undecryptable(
                f"{table}.{field} of {row_id} can't be decrypted: was BOLTI_SECRET_KEY changed?"
            ) from None

    def hash_token(self, token: str) -> bytes:
        """What is stored of a token: HMAC-SHA256 under a pepper that the database doesn't know."""
        return hmac.digest(self._token_pepper, token.encode(), "sha256")

    def sign(self, purpose: str, message: str) -> str:
        """A signature (base64url, 43 characters) that is good for this purpose only."""
        digest = hmac.digest(self._signing, f"{purpose}\n{message}".encode(), "sha256")
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def verify(self, purpose: str, message: str, signature: str) -> bool:
        return hmac.compare_digest(self.sign(purpose, message).encode(), signature.encode())


def make_token(prefix: str) -> str:
    """`prefix` (with its underscore), 30 random base62 characters (178 bits) and 6 of checksum."""
    body = prefix + "".join(secrets.choice(BASE62) for _ in range(TOKEN_RANDOM_LENGTH))
    return body + _checksum(body)


def is_well_formed_token(token: str) -> bool:
    """Whether `token` could be one of ours: mistyped and foreign ones are refused without a look into the database."""
    length = TOKEN_RANDOM_LENGTH + TOKEN_CHECKSUM_LENGTH
    if len(token) <= length or not token.isascii():
        return False
    body, checksum = token[:-TOKEN_CHECKSUM_LENGTH], token[-TOKEN_CHECKSUM_LENGTH:]
    return _checksum(body) == checksum


def token_hint(token: str) -> str:
    """What people recognise it by: `bolti_sk_…a1B2`."""
    prefix = token[: -(TOKEN_RANDOM_LENGTH + TOKEN_CHECKSUM_LENGTH)]
    return f"{prefix}…{token[-4:]}"


def _checksum(body: str) -> str:
    value = zlib.crc32(body.encode())
    digits = ""
    for _ in range(TOKEN_CHECKSUM_LENGTH):
        value, digit = divmod(value, len(BASE62))
        digits = BASE62[digit] + digits
    return digits


def _derive(master: bytes, purpose: bytes) -> bytes:
    """HKDF-SHA256, one block: extract with an empty salt, expand with the purpose."""
    extracted = hmac.digest(b"\0" * hashlib.sha256().digest_size, master, "sha256")
    return hmac.digest(extracted, purpose + b"\x01", "sha256")


def _place(*parts: str) -> bytes:
    """Unambiguous: each part with its length, so that ("ab", "c") is not ("a", "bc")."""
    return b"".join(len(part.encode()).to_bytes(4) + part.encode() for part in parts)
