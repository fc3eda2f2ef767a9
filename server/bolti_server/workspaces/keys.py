"""How a request's key is found, for `web.authentication`, and whether a page's origin is any key's, for `web.cors`."""

from __future__ import annotations

from bolti_server.web.authentication import Caller, KnownKey
from bolti_server.workspaces import queries
from bolti_server.world import World


async def find_key(world: World, token_hash: bytes) -> KnownKey | None:
    """The working key with this hash. Notes its use, at most once a minute."""
    found = await queries.find_working_key_of_any_workspace(world.db, token_hash)
    if found is None:
        return None
    if found.is_use_to_be_noted:
        async with world.db.transaction() as tx:
            await queries.note_key_use(tx, found.workspace_id, found.id)
    caller = Caller(
        key_id=found.id,
        workspace_id=found.workspace_id,
        organization_id=found.organization_id,
        scopes=frozenset(found.scopes),
        kind=found.kind,
        origins=frozenset(found.origins),
    )
    return KnownKey(caller, found.seconds_left)


async def find_origin(world: World, origin: str) -> bool:
    """Whether a public key that works, of whatever workspace, names this origin."""
    return await queries.is_origin_of_any_workspace(world.db, origin)
