"""Inbound trunks and dispatch rules are taken and refused as livekit-server 1.13.5 does (asked in November 2026)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from livekit.protocol import models, sip

from bolti_server.phone_network.trunks import Trunks
from bolti_server.phone_network.twirp import TwirpError

OURS, CALLER = "+15550009999", "+12025550177"


def trunk(**fields: object) -> sip.CreateSIPInboundTrunkRequest:
    return sip.CreateSIPInboundTrunkRequest(trunk=sip.SIPInboundTrunkInfo(**fields))  # type: ignore[arg-type]


def rule(prefix: str = "in-", **fields: object) -> sip.CreateSIPDispatchRuleRequest:
    individual = sip.SIPDispatchRuleIndividual(room_prefix=prefix)
    info = sip.SIPDispatchRuleInfo(
        rule=sip.SIPDispatchRule(dispatch_rule_individual=individual),
        **fields,  # type: ignore[arg-type]
    )
    return sip.CreateSIPDispatchRuleRequest(dispatch_rule=info)


def refusal(act: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(TwirpError) as caught:
        act()
    return caught.value.code, caught.value.msg


def test_a_trunk_that_anybody_could_use_is_refused() -> None:
    trunks = Trunks()
    for request in (trunk(), trunk(name="d"), trunk(auth_username="u")):
        code, message = refusal(lambda request=request: trunks.create_trunk(request))
        assert code == "invalid_argument"
        assert message.startswith("for security, one of the fields must be set")
    assert (
        trunks.create_trunk(trunk(auth_username="u", auth_password="p")).sip_trunk_id[:3] == "ST_"
    )
    assert refusal(lambda: trunks.create_trunk(sip.CreateSIPInboundTrunkRequest()))[1] == (
        "missing trunk"
    )


def test_a_number_that_two_trunks_would_take_is_refused_unless_the_caller_tells_them_apart() -> (
    None
):
    trunks = Trunks()
    first = trunks.create_trunk(trunk(numbers=[OURS], allowed_addresses=["10.9.9.0/24"]))
    for more in (
        {"allowed_addresses": ["10.8.9.0/24"]},
        {"auth_username": "u", "auth_password": "p"},
    ):
        again = trunk(numbers=[OURS], **more)
        assert refusal(lambda again=again: trunks.create_trunk(again)) == (
            "invalid_argument",
            f'Conflicting inbound SIP Trunks: "<new>" and "{first.sip_trunk_id}", using the same number(s) '
            f'["{OURS}"] without AllowedNumbers set',
        )
    trunks.create_trunk(trunk(numbers=[OURS], allowed_numbers=["+1777"]))


def test_updating_a_trunk_replaces_or_changes_it() -> None:
    trunks = Trunks()
    made = trunks.create_trunk(trunk(name="a", numbers=[OURS]))
    changed = trunks.update_trunk(
        sip.UpdateSIPInboundTrunkRequest(
            sip_trunk_id=made.sip_trunk_id,
            update=sip.SIPInboundTrunkUpdate(
                name="b", numbers=models.ListUpdate(add=["+15550001111"])
            ),
        )
    )
    assert (changed.name, list(changed.numbers)) == ("b", [OURS, "+15550001111"])
    replaced = trunks.update_trunk(
        sip.UpdateSIPInboundTrunkRequest(
            sip_trunk_id=made.sip_trunk_id,
            replace=sip.SIPInboundTrunkInfo(numbers=[OURS], allowed_addresses=["10.1.1.1"]),
        )
    )
    assert (replaced.sip_trunk_id, replaced.name) == (made.sip_trunk_id, "")
    [listed] = trunks.list_trunks(sip.ListSIPInboundTrunkRequest()).items
    assert listed == replaced
    both = sip.SIPInboundTrunkUpdate(numbers=models.ListUpdate(set=["+1"], remove=["+2"]))
    wrong = sip.UpdateSIPInboundTrunkRequest(sip_trunk_id=made.sip_trunk_id, update=both)
    assert refusal(lambda: trunks.update_trunk(wrong))[1] == (
        "cannot set and change the list at the same time"
    )
    nothing = sip.UpdateSIPInboundTrunkRequest(sip_trunk_id="ST_nope", replace=replaced)
    assert refusal(lambda: trunks.update_trunk(nothing))[0] == "not_found"


def test_what_comes_back_is_a_copy() -> None:
    trunks = Trunks()
    trunks.create_trunk(trunk(numbers=[OURS])).numbers.append("+1")
    [listed] = trunks.list_trunks(sip.ListSIPInboundTrunkRequest()).items
    assert list(listed.numbers) == [OURS]


def test_deleting_is_forgiving_with_trunks_and_strict_with_rules() -> None:
    trunks = Trunks()
    gone = sip.DeleteSIPTrunkRequest(sip_trunk_id="ST_nope")
    assert trunks.delete_trunk(gone).sip_trunk_id == "ST_nope"
    made = trunks.create_rule(rule())
    wanted = sip.DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=made.sip_dispatch_rule_id)
    assert trunks.delete_rule(wanted) == made
    assert refusal(lambda: trunks.delete_rule(wanted)) == (
        "not_found",
        "requested sip dispatch rule does not exist",
    )


def test_a_second_rule_for_the_same_trunk_is_refused() -> None:
    trunks = Trunks()
    first = trunks.create_rule(rule(name="r", trunk_ids=["ST_a"]))
    code, message = refusal(lambda: trunks.create_rule(rule("in2-", trunk_ids=["ST_a"])))
    assert code == "invalid_argument"
    assert message.endswith(f'already exists in dispatch rule "{first.sip_dispatch_rule_id}" "r"')
    assert refusal(lambda: trunks.create_rule(sip.CreateSIPDispatchRuleRequest()))[1] == (
        "missing rule"
    )
    replacing = sip.UpdateSIPDispatchRuleRequest(
        sip_dispatch_rule_id=first.sip_dispatch_rule_id,
        replace=rule("in2-", trunk_ids=["ST_a"]).dispatch_rule,
    )
    assert trunks.update_rule(replacing).rule.dispatch_rule_individual.room_prefix == "in2-"


def test_a_call_comes_in_by_the_trunk_of_its_number_into_a_room_of_the_rule() -> None:
    trunks = Trunks()
    anything = trunks.create_trunk(trunk(allowed_addresses=["0.0.0.0/0"]))
    mine = trunks.create_trunk(trunk(numbers=[OURS]))
    trunks.create_rule(rule("any-"))
    made = trunks.create_rule(rule("in-", trunk_ids=[mine.sip_trunk_id], metadata="m"))
    way = trunks.way_in(CALLER, OURS)
    assert way is not None
    assert (way.trunk.sip_trunk_id, way.rule) == (mine.sip_trunk_id, made)
    assert way.room.startswith(f"in-_{CALLER}_")
    again = trunks.way_in(CALLER, OURS.removeprefix("+"))
    assert again is not None
    assert again.trunk.sip_trunk_id == mine.sip_trunk_id
    assert again.room != way.room
    other = trunks.way_in(CALLER, "+15550001234")
    assert other is not None
    assert other.trunk.sip_trunk_id == anything.sip_trunk_id
    assert other.room.startswith("any-_")


def test_a_call_that_no_trunk_or_no_rule_wants_has_no_way_in() -> None:
    trunks = Trunks()
    mine = trunks.create_trunk(trunk(numbers=[OURS], allowed_numbers=[CALLER]))
    assert trunks.way_in(CALLER, OURS) is None
    trunks.create_rule(rule(trunk_ids=[mine.sip_trunk_id]))
    assert trunks.way_in(CALLER, OURS) is not None
    assert trunks.way_in("+12025550178", OURS) is None
    assert trunks.way_in(CALLER, "+15550001234") is None
