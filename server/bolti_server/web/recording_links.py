"""Signed links to recordings: good for one conversation and a short time, with no key.

Rule: a link carries no authority but to read that one recording; what it signs is `<conversation_id>:<expires>`, under a
key of its own purpose.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bolti_server.web.authentication import Caller, refuse
from bolti_server.world import World

PURPOSE = "recording"
LINK_SECONDS = 3600
SCOPE = "conversations:read"


def recording_url(
    world: World, workspace_id: str, conversation_id: str, *, seconds: int = LINK_SECONDS
) -> str:
    """A link that works for `seconds` from now. Making one says nothing about whether there is a recording."""
    expires = int(world.clock.now().timestamp()) + seconds
    signature = world.vault.sign(PURPOSE, f"{conversation_id}:{expires}")
    base = world.settings.public_url.rstrip("/")
    path = f"/workspaces/{workspace_id}/conversations/{conversation_id}/recording"
    return f"{base}{path}?expires={expires}&signature={signature}"


def caller_of_link(world: World, path: Mapping[str, str], query: Mapping[str, Any]) -> Caller:
    """Who holds a good link. Raises Refusal 401."""
    expires, signature = query.get("expires"), query.get("signature")
    if not isinstance(expires, int) or not isinstance(signature, str):
        refuse("This link is incomplete: it needs expires and signature.")
    conversation_id = path["conversation_id"]
    if not world.vault.verify(PURPOSE, f"{conversation_id}:{expires}", signature):
        refuse("This link was not made by us, or was changed.")
    if expires <= world.clock.now().timestamp():
        refuse("This link has expired. Read the conversation again for a new recording_url.")
    return Caller("", path["workspace_id"], "", frozenset([SCOPE]))
