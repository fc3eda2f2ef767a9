"""Inbound trunks and dispatch rules, in memory: what may call in, and into which room a call comes.

Checks, words and oddities are those of livekit-server 1.13.5 (asked in November 2026; `tests/server/phone_network` has its
answers): a trunk's secret comes back in clear, deleting a trunk that is not there is no error, deleting a rule is.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, MutableMapping, Sequence
from typing import TypeVar

import attrs
from livekit.protocol import models, sip

from bolti_server.phone_network.ids import new_id
from bolti_server.phone_network.twirp import TwirpError

Item = TypeVar("Item", sip.SIPInboundTrunkInfo, sip.SIPDispatchRuleInfo)


@attrs.frozen
class Way:
    """How a call comes in: by this trunk, into a room of this name, as this rule says."""

    trunk: sip.SIPInboundTrunkInfo
    rule: sip.SIPDispatchRuleInfo
    room: str


@attrs.define(eq=False)
class Trunks:
    _trunks: MutableMapping[str, sip.SIPInboundTrunkInfo] = attrs.Factory(dict)
    _rules: MutableMapping[str, sip.SIPDispatchRuleInfo] = attrs.Factory(dict)

    # ---- trunks ----

    def create_trunk(self, request: sip.CreateSIPInboundTrunkRequest) -> sip.SIPInboundTrunkInfo:
        if not request.HasField("trunk"):
            raise TwirpError("invalid_argument", "missing trunk")
        if request.trunk.sip_trunk_id:
            raise TwirpError("invalid_argument", "trunk id must not be set")
        trunk = _copy(request.trunk)
        self._check_trunk(trunk)
        trunk.sip_trunk_id = new_id("ST")
        self._trunks[trunk.sip_trunk_id] = trunk
        return _copy(trunk)

    def list_trunks(
        self, request: sip.ListSIPInboundTrunkRequest
    ) -> sip.ListSIPInboundTrunkResponse:
        """Those with the ids, and of them those that take calls to one of the numbers."""
        found = _picked(self._trunks, request.trunk_ids)
        if request.numbers:
            wanted = set(request.numbers)
            found = [each for each in found if not each.numbers or wanted & set(each.numbers)]
        return sip.ListSIPInboundTrunkResponse(items=found)

    def update_trunk(self, request: sip.UpdateSIPInboundTrunkRequest) -> sip.SIPInboundTrunkInfo:
        if not request.sip_trunk_id:
            raise TwirpError("invalid_argument", "trunk id must be set")
        action = request.WhichOneof("action")
        if action is None:
            raise TwirpError("invalid_argument", "missing or unsupported update action")
        known = self._trunks.get(request.sip_trunk_id)
        if known is None:
            raise TwirpError("not_found", "requested sip trunk does not exist")
        trunk = _copy(request.replace) if action == "replace" else _updated(known, request.update)
        trunk.sip_trunk_id = request.sip_trunk_id
        self._check_trunk(trunk)
        self._trunks[trunk.sip_trunk_id] = trunk
        return _copy(trunk)

    def delete_trunk(self, request: sip.DeleteSIPTrunkRequest) -> sip.SIPTrunkInfo:
        if not request.sip_trunk_id:
            raise TwirpError("invalid_argument", "trunk ID is required")
        self._trunks.pop(request.sip_trunk_id, None)
        return sip.SIPTrunkInfo(sip_trunk_id=request.sip_trunk_id)

    # ---- rules ----

    def create_rule(self, request: sip.CreateSIPDispatchRuleRequest) -> sip.SIPDispatchRuleInfo:
        rule = _copy(request.dispatch_rule) if request.HasField("dispatch_rule") else _old(request)
        if rule.rule.WhichOneof("rule") is None:
            raise TwirpError("invalid_argument", "missing rule")
        if rule.sip_dispatch_rule_id:
            raise TwirpError("invalid_argument", "rule id must not be set")
        self._check_rule(rule)
        rule.sip_dispatch_rule_id = new_id("SDR")
        self._rules[rule.sip_dispatch_rule_id] = rule
        return _copy(rule)

    def list_rules(
        self, request: sip.ListSIPDispatchRuleRequest
    ) -> sip.ListSIPDispatchRuleResponse:
        """Those with the ids, and of them those that hold for one of the trunks."""
        found = _picked(self._rules, request.dispatch_rule_ids)
        if request.trunk_ids:
            wanted = set(request.trunk_ids)
            found = [each for each in found if not each.trunk_ids or wanted & set(each.trunk_ids)]
        return sip.ListSIPDispatchRuleResponse(items=found)

    def update_rule(self, request: sip.UpdateSIPDispatchRuleRequest) -> sip.SIPDispatchRuleInfo:
        if not request.sip_dispatch_rule_id:
            raise TwirpError("invalid_argument", "missing dispatch rule id")
        if request.WhichOneof("action") != "replace":
            raise TwirpError("invalid_argument", "missing or unsupported update action")
        if request.sip_dispatch_rule_id not in self._rules:
            raise TwirpError("not_found", "requested sip dispatch rule does not exist")
        rule = _copy(request.replace)
        if rule.rule.WhichOneof("rule") is None:
            raise TwirpError("invalid_argument", "missing rule")
        rule.sip_dispatch_rule_id = request.sip_dispatch_rule_id
        self._check_rule(rule)
        self._rules[rule.sip_dispatch_rule_id] = rule
        return _copy(rule)

    def delete_rule(self, request: sip.DeleteSIPDispatchRuleRequest) -> sip.SIPDispatchRuleInfo:
        if not request.sip_dispatch_rule_id:
            raise TwirpError("invalid_argument", "dispatch rule ID is required")
        rule = self._rules.pop(request.sip_dispatch_rule_id, None)
        if rule is None:
            raise TwirpError("not_found", "requested sip dispatch rule does not exist")
        return rule

    # ---- a call comes in ----

    def way_in(self, from_number: str, to_number: str) -> Way | None:
        """None where no trunk takes the call, or no rule says where to put it. A trunk that names the number (or the
        caller) comes before one that takes everything; so does a rule that names the trunk."""
        to_number = to_number if to_number.startswith("+") else f"+{to_number}"
        trunks = [
            each
            for each in self._trunks.values()
            if (not each.numbers or to_number in each.numbers)
            and (not each.allowed_numbers or from_number in each.allowed_numbers)
        ]
        if not trunks:
            return None
        trunk = max(trunks, key=lambda each: (bool(each.numbers), bool(each.allowed_numbers)))
        rules = [
            each
            for each in self._rules.values()
            if (not each.trunk_ids or trunk.sip_trunk_id in each.trunk_ids)
            and (not each.inbound_numbers or from_number in each.inbound_numbers)
            and (not each.numbers or to_number in each.numbers)
        ]
        if not rules:
            return None
        rule = max(rules, key=lambda each: (bool(each.trunk_ids), bool(each.numbers)))
        return Way(_copy(trunk), _copy(rule), _room_name(rule.rule, from_number, to_number))

    def _check_rule(self, rule: sip.SIPDispatchRuleInfo) -> None:
        for other in self._rules.values():
            is_another = other.sip_dispatch_rule_id != rule.sip_dispatch_rule_id
            if is_another and _overlap(rule, other):
                raise TwirpError(
                    "invalid_argument",
                    "Dispatch rule for the same trunk, inbound number, number, and PIN combination already exists in "
                    f'dispatch rule "{other.sip_dispatch_rule_id}" "{other.name}"',
                )

    def _check_trunk(self, trunk: sip.SIPInboundTrunkInfo) -> None:
        has_login = trunk.auth_username and trunk.auth_password
        if not (has_login or trunk.allowed_addresses or trunk.numbers):
            raise TwirpError(
                "invalid_argument",
                "for security, one of the fields must be set: AuthUsername+AuthPassword, AllowedAddresses or Numbers",
            )
        for other in self._trunks.values():
            if other.sip_trunk_id == trunk.sip_trunk_id:
                continue
            if (shared := _shared_numbers(trunk, other)) is not None:
                raise TwirpError(
                    "invalid_argument",
                    f'Conflicting inbound SIP Trunks: "{trunk.sip_trunk_id or "<new>"}" and "{other.sip_trunk_id}", '
                    f"using the same number(s) {json.dumps(shared)} without AllowedNumbers set",
                )


def _shared_numbers(
    one: sip.SIPInboundTrunkInfo, other: sip.SIPInboundTrunkInfo
) -> list[str] | None:
    """Numbers for which nothing tells the two apart; None where a call always knows its trunk."""
    if one.allowed_numbers or other.allowed_numbers:
        callers = set(one.allowed_numbers) & set(other.allowed_numbers)
        if not callers:
            return None
    if not one.numbers and not other.numbers:
        return []
    return sorted(set(one.numbers) & set(other.numbers)) or None


def _overlap(one: sip.SIPDispatchRuleInfo, other: sip.SIPDispatchRuleInfo) -> bool:
    def meets(ours: Iterable[str], theirs: Iterable[str]) -> bool:
        mine, yours = set(ours), set(theirs)
        return bool(mine & yours) or (not mine and not yours)

    return (
        meets(one.trunk_ids, other.trunk_ids)
        and meets(one.inbound_numbers, other.inbound_numbers)
        and meets(one.numbers, other.numbers)
        and _pin(one.rule) == _pin(other.rule)
    )


def _pin(rule: sip.SIPDispatchRule) -> str:
    kind = rule.WhichOneof("rule")
    return str(getattr(rule, kind).pin) if kind is not None else ""


def _room_name(rule: sip.SIPDispatchRule, from_number: str, to_number: str) -> str:
    match rule.WhichOneof("rule"):
        case "dispatch_rule_direct":
            return rule.dispatch_rule_direct.room_name
        case "dispatch_rule_callee":
            callee = rule.dispatch_rule_callee
            name = f"{callee.room_prefix}{to_number}"
            return f"{name}_{secrets.token_hex(6)}" if callee.randomize else name
        case _:
            individual = rule.dispatch_rule_individual
            name = f"{individual.room_prefix}_{from_number}".lstrip("_")
            return name if individual.no_randomness else f"{name}_{new_id('')[1:]}"


def _updated(
    known: sip.SIPInboundTrunkInfo, change: sip.SIPInboundTrunkUpdate
) -> sip.SIPInboundTrunkInfo:
    trunk = _copy(known)
    for field in ("numbers", "allowed_addresses", "allowed_numbers"):
        if change.HasField(field):
            items = _changed(getattr(trunk, field), getattr(change, field))
            trunk.ClearField(field)
            getattr(trunk, field).extend(items)
    for field in ("auth_username", "auth_password", "auth_realm", "name", "metadata"):
        if change.HasField(field):
            setattr(trunk, field, getattr(change, field))
    return trunk


def _changed(items: Sequence[str], change: models.ListUpdate) -> list[str]:
    if change.set and (change.add or change.remove or change.clear):
        raise TwirpError("invalid_argument", "cannot set and change the list at the same time")
    if change.set:
        return list(change.set)
    kept = [] if change.clear else [each for each in items if each not in change.remove]
    return kept + [each for each in change.add if each not in kept]


def _old(request: sip.CreateSIPDispatchRuleRequest) -> sip.SIPDispatchRuleInfo:
    """A rule in the request's older fields."""
    return sip.SIPDispatchRuleInfo(
        rule=request.rule,
        trunk_ids=request.trunk_ids,
        hide_phone_number=request.hide_phone_number,
        inbound_numbers=request.inbound_numbers,
        name=request.name,
        metadata=request.metadata,
        attributes=dict(request.attributes),
        room_preset=request.room_preset,
        room_config=request.room_config if request.HasField("room_config") else None,
    )


def _picked(items: MutableMapping[str, Item], ids: Sequence[str]) -> list[Item]:
    return [item for key, item in items.items() if not ids or key in ids]


def _copy(item: Item) -> Item:
    copy = type(item)()
    copy.CopyFrom(item)
    return copy
