"""Who calls: a workspace's API key as `Authorization: Bearer bolti_sk_…`, or a signed link where the contract allows it.

Rule: a key is known by its keyed hash alone. What the database said of it is believed for KEY_TRUST_SECONDS, so that a
revocation is effective everywhere within a second; what it said of an unknown key is not remembered at all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, NoReturn

import attrs

from bolti_server.base.crypto import is_well_formed_token
from bolti_server.base.errors import Refusal
from bolti_server.world import World

KEY_TRUST_SECONDS = 0.75
MOST_KEYS = 10_000


@attrs.frozen
class Caller:
    """Who a request comes from, and the one workspace that it may see."""

    key_id: str  # empty for a signed link
    workspace_id: str
    organization_id: str
    scopes: frozenset[str]
    kind: Literal["secret", "public"] = "secret"
    origins: frozenset[str] = frozenset()  # of a public key: from where it works


@attrs.frozen
class KnownKey:
    """A key that works, for at most `seconds_left` from when it was read (None: it does not expire)."""

    caller: Caller
    seconds_left: float | None


# Given by whoever owns the table of keys (`workspaces.keys`): the working key with this hash, or None.
FindKey = Callable[[World, bytes], Awaitable[KnownKey | None]]


class Authenticator:
    """Of one app. Not shared between event loops."""

    def __init__(self, world: World, find_key: FindKey) -> None:
        self._world = world
        self._find_key = find_key
        self._known: dict[bytes, tuple[float, Caller]] = {}  # hash → (believed until, caller)

    async def caller_of(self, authorization: str | None) -> Caller:
        """Raises Refusal 401."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            refuse("Send a valid API key: Authorization: Bearer bolti_sk_….")
        token = token.strip()
        if not is_well_formed_token(token):
            refuse("This is not a key of ours: mistyped, cut off, or of another service.")
        token_hash = self._world.vault.hash_token(token)
        now = self._world.clock.monotonic()
        known = self._known.get(token_hash)
        if known is not None and now < known[0]:
            return known[1]
        found = await self._find_key(self._world, token_hash)
        if found is None:
            self._known.pop(token_hash, None)
            refuse("This key does not exist, is revoked or has expired. Make another one.")
        if len(self._known) >= MOST_KEYS:
            self._known.clear()
        # Counted from before the question was asked: an answer may be as old as that.
        trusted = min(
            KEY_TRUST_SECONDS,
            KEY_TRUST_SECONDS if found.seconds_left is None else found.seconds_left,
        )
        self._known[token_hash] = (now + trusted, found.caller)
        return found.caller


def refuse(detail: str) -> NoReturn:
    """Raises the 401."""
    raise Refusal(
        401, "unauthenticated", detail, headers={"WWW-Authenticate": 'Bearer realm="bolti"'}
    )
