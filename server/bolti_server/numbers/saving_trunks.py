"""Making, changing and deleting the workspace's own trunks.

Rules: what is saved is whole: everything that is wrong is listed at once. A stored password serves only the username and the
host that it was given for, so that nobody who may edit trunks can have somebody else's password tried at a host of his own.
The simulated network's trunk is nobody's to change.
"""

from __future__ import annotations

import attrs
from msgspec import UNSET, UnsetType

from bolti_server.base.db import Tx
from bolti_server.base.errors import Fault, Refusal, not_found
from bolti_server.base.ids import new_id
from bolti_server.contract import structs
from bolti_server.numbers import sync_queries, trunk_checks, trunk_queries, trunk_records
from bolti_server.numbers.trunk_queries import StoredTrunk, Transport, TrunkSettings
from bolti_server.numbers.trunk_records import PasswordField
from bolti_server.web.bodies import validation_failed
from bolti_server.web.preconditions import IfMatch
from bolti_server.world import World

_TRANSPORTS: dict[str, Transport] = {"udp": "udp", "tcp": "tcp", "tls": "tls"}


async def create_trunk(
    tx: Tx, world: World, workspace_id: str, body: structs.TrunkCreate
) -> StoredTrunk:
    """The new trunk. Raises Refusal 400 (everything that is wrong)."""
    trunk_id = new_id("trunk")
    saving = _Saving(world, workspace_id, trunk_id, None)
    settings = saving.settings(
        TrunkSettings(name=body.name, codecs=[each.value for each in body.codecs]),
        body.outbound,
        body.inbound,
    )
    await trunk_queries.insert_trunk(tx, workspace_id, trunk_id, settings)
    return await _found(tx, workspace_id, trunk_id)


async def update_trunk(
    tx: Tx,
    world: World,
    workspace_id: str,
    trunk_id: str,
    body: structs.TrunkUpdate,
    *,
    expected: IfMatch | None = None,
) -> StoredTrunk:
    """The trunk in its next version. Raises Refusal 404, 412, 409 trunk_not_changeable, 400."""
    stored = await _to_change(tx, workspace_id, trunk_id, expected)
    kept = _settings_of(stored)
    if body.name is not UNSET:
        kept = attrs.evolve(kept, name=body.name)
    if body.codecs is not UNSET:
        kept = attrs.evolve(kept, codecs=[each.value for each in body.codecs])
    settings = _Saving(world, workspace_id, trunk_id, stored).settings(
        kept, body.outbound, body.inbound
    )
    await trunk_queries.replace_trunk(tx, workspace_id, trunk_id, settings)
    await sync_queries.request_sync(tx, workspace_id, trunk_id)
    return await _found(tx, workspace_id, trunk_id)


async def delete_trunk(
    tx: Tx, workspace_id: str, trunk_id: str, *, expected: IfMatch | None = None
) -> None:
    """Calls in progress go on. Raises Refusal 404, 412, 409 trunk_in_use or trunk_not_changeable."""
    await _to_change(tx, workspace_id, trunk_id, expected)
    count = await trunk_queries.count_numbers(tx, workspace_id, trunk_id)
    if count:
        detail = (
            f"The trunk has {'a number' if count == 1 else f'{count} numbers'}. Release first what it carries: "
            "DELETE /workspaces/{workspace_id}/numbers/{number_id}."
        )
        raise Refusal(409, "trunk_in_use", detail)
    await trunk_queries.mark_deleted(tx, workspace_id, trunk_id)
    await sync_queries.request_sync(tx, workspace_id, trunk_id)


async def lock_own_trunk(tx: Tx, workspace_id: str, trunk_id: str) -> StoredTrunk:
    """Raises Refusal 404, and 409 trunk_not_changeable for the simulated network's."""
    stored = await trunk_queries.lock_trunk(tx, workspace_id, trunk_id)
    if stored is None:
        raise not_found("trunk")
    if stored.is_simulated:
        raise Refusal(
            409,
            "trunk_not_changeable",
            "This is the trunk of the simulated network, which every workspace has as it is. Make one of your own: "
            "POST /workspaces/{workspace_id}/trunks.",
        )
    return stored


async def _to_change(
    tx: Tx, workspace_id: str, trunk_id: str, expected: IfMatch | None
) -> StoredTrunk:
    stored = await lock_own_trunk(tx, workspace_id, trunk_id)
    refusal = None if expected is None else expected.refusal("trunk", stored.version)
    if refusal is not None:
        raise refusal
    return stored


def _settings_of(stored: StoredTrunk) -> TrunkSettings:
    return TrunkSettings(
        name=stored.name,
        host=stored.host,
        transport=stored.transport,
        outbound_username=stored.outbound_username,
        outbound_password_sealed=stored.outbound_password_sealed,
        takes_calls=stored.can_inbound,
        inbound_username=stored.inbound_username,
        inbound_password_sealed=stored.inbound_password_sealed,
        allowed_addresses=stored.allowed_addresses,
        codecs=stored.codecs,
    )


@attrs.frozen
class _Saving:
    """Saving one trunk: a new one where nothing is `stored`."""

    world: World
    workspace_id: str
    trunk_id: str
    stored: StoredTrunk | None

    def settings(
        self,
        kept: TrunkSettings,
        outbound: structs.TrunkOutboundInput | UnsetType | None,
        inbound: structs.TrunkInboundInput | UnsetType | None,
    ) -> TrunkSettings:
        """`kept` with what the request says. Raises Refusal 400."""
        faults: list[Fault] = []
        if outbound is not UNSET:
            kept = self._with_outbound(kept, outbound, faults)
        if inbound is not UNSET:
            kept = self._with_inbound(kept, inbound, faults)
        faults += trunk_checks.ability_faults(
            can_outbound=kept.host is not None, can_inbound=kept.takes_calls
        )
        if faults:
            raise validation_failed(faults)
        return kept

    def _with_outbound(
        self, kept: TrunkSettings, given: structs.TrunkOutboundInput | None, faults: list[Fault]
    ) -> TrunkSettings:
        if given is None:
            return attrs.evolve(
                kept,
                host=None,
                transport=None,
                outbound_username=None,
                outbound_password_sealed=None,
            )
        host = trunk_checks.normal_host(given.host)
        password = given.password
        sealed = None if password is None else self._sealed("outbound_password", password)
        is_same = (kept.host, kept.outbound_username) == (host, given.username)
        if sealed is None and is_same:
            sealed = kept.outbound_password_sealed
        faults += trunk_checks.host_faults(host)
        faults += trunk_checks.credential_faults(
            "outbound",
            given.username,
            has_password=sealed is not None,
            is_changed=kept.outbound_password_sealed is not None,
        )
        return attrs.evolve(
            kept,
            host=host,
            transport=_TRANSPORTS[given.transport.value],
            outbound_username=given.username,
            outbound_password_sealed=sealed,
        )

    def _with_inbound(
        self, kept: TrunkSettings, given: structs.TrunkInboundInput | None, faults: list[Fault]
    ) -> TrunkSettings:
        if given is None:
            return attrs.evolve(
                kept,
                takes_calls=False,
                inbound_username=None,
                inbound_password_sealed=None,
                allowed_addresses=(),
            )
        password = given.password
        sealed = None if password is None else self._sealed("inbound_password", password)
        if sealed is None and given.username == kept.inbound_username:
            sealed = kept.inbound_password_sealed
        faults += trunk_checks.address_faults(given.allowed_addresses)
        faults += trunk_checks.credential_faults(
            "inbound",
            given.username,
            has_password=sealed is not None,
            is_changed=kept.inbound_password_sealed is not None,
        )
        faults += trunk_checks.guard_faults(given.allowed_addresses, given.username)
        return attrs.evolve(
            kept,
            takes_calls=True,
            inbound_username=given.username,
            inbound_password_sealed=sealed,
            allowed_addresses=given.allowed_addresses,
        )

    def _sealed(self, field: PasswordField, password: str) -> bytes:
        return trunk_records.sealed(
            self.world.vault, self.workspace_id, self.trunk_id, field, password
        )


async def _found(tx: Tx, workspace_id: str, trunk_id: str) -> StoredTrunk:
    stored = await trunk_queries.find_trunk(tx, workspace_id, trunk_id)
    assert stored is not None, "written a line above, in this transaction"
    return stored
