"""Who speaks for a conversation: a token for one conversation and one epoch, minted when a worker claims it.

Rules: a token says which epoch it is good for, and the conversation's row says which epoch counts; an older one is
refused with 409 wherever it would change something. The worker token opens `claim` only.
"""

from __future__ import annotations

import hmac

from bolti_server.base.crypto import Vault
from bolti_server.base.errors import Refusal
from bolti_server.calls.worker_queries import LiveCall

_PURPOSE = "worker call"


def mint(vault: Vault, conversation_id: str, epoch: int) -> str:
    """The Bearer token of the worker that has this conversation in this epoch."""
    signature = vault.sign(_PURPOSE, f"{conversation_id}:{epoch}")
    return f"{conversation_id}.{epoch}.{signature}"


def epoch_of(vault: Vault, token: str, conversation_id: str) -> int:
    """The epoch that `token` is good for. Raises Refusal 401 for any other conversation's, and for none of ours."""
    parts = token.split(".")
    if len(parts) == 3 and parts[0] == conversation_id and parts[1].isascii():
        epoch = int(parts[1]) if parts[1].isdigit() and len(parts[1]) < 10 else 0
        if epoch > 0 and vault.verify(_PURPOSE, f"{conversation_id}:{epoch}", parts[2]):
            return epoch
    raise Refusal(
        401, "unauthenticated", "Send the token that the claim of this conversation gave."
    )


def check_worker_token(expected: str, token: str) -> None:
    """Raises Refusal 401 unless it is BOLTI_WORKER_TOKEN (which must be set)."""
    if not expected or not hmac.compare_digest(expected.encode(), token.encode()):
        raise Refusal(401, "unauthenticated", "Send BOLTI_WORKER_TOKEN as the Bearer token.")


def check_epoch(call: LiveCall, epoch: int) -> None:
    """Raises Refusal 409 where the conversation belongs to another epoch by now."""
    if call.epoch != epoch:
        raise Refusal(
            409,
            "epoch_superseded",
            f"Epoch {epoch} of this conversation is over: hang up and stop.",
        )


def check_same(token_epoch: int, message_epoch: int) -> None:
    """Raises Refusal 401 where a message speaks for another epoch than its token."""
    if token_epoch != message_epoch:
        raise Refusal(401, "unauthenticated", "The token is for another epoch than the message.")
