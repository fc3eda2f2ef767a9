"""The table of a conversation's life, all of it."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from bolti_server.calls import lifecycle
from bolti_server.calls.hangups import DIALED, TALKING
from bolti_server.calls.lifecycle import (
    HANGUPS,
    TERMINAL,
    Break,
    Fact,
    HangupCode,
    Move,
    OldNews,
    Status,
)
from bolti_server.contract import structs

ROOT = Path(__file__).resolve().parents[3]
LIVING = [status for status in Status if not status.is_terminal]
PAIRS = list(itertools.product(Status, Fact))

# Written down a second time, by hand, from product.md §6: what moves. An end moves every living status.
MOVES = {
    (Status.SCHEDULED, Fact.QUEUED): Status.QUEUED,
    (Status.QUEUED, Fact.CLAIMED): Status.QUEUED,
    (Status.QUEUED, Fact.AGENT_READY): Status.QUEUED,
    (Status.QUEUED, Fact.INTENT): Status.DIALING,
    (Status.DIALING, Fact.CLAIMED): Status.DIALING,  # by a second agent, in a room
    (Status.RINGING, Fact.CLAIMED): Status.RINGING,
    (Status.IN_PROGRESS, Fact.CLAIMED): Status.IN_PROGRESS,
    (Status.DIALING, Fact.UNSENT): Status.QUEUED,
    (Status.DIALING, Fact.RINGING): Status.RINGING,
    (Status.DIALING, Fact.ANSWERED): Status.IN_PROGRESS,
    (Status.RINGING, Fact.ANSWERED): Status.IN_PROGRESS,
}
PLACE = {status: place for place, status in enumerate(LIVING)}
# From when on a fact can be true at all.
EARLIEST = {
    Fact.QUEUED: Status.SCHEDULED,
    Fact.CLAIMED: Status.QUEUED,
    Fact.AGENT_READY: Status.QUEUED,
    Fact.INTENT: Status.QUEUED,
    Fact.RINGING: Status.DIALING,
    Fact.ANSWERED: Status.DIALING,
}


@pytest.mark.parametrize(("status", "fact"), PAIRS)
def test_every_fact_in_every_status_is_decided(status: Status, fact: Fact) -> None:
    decision = lifecycle.decide(status, fact)
    if status.is_terminal:
        assert decision == OldNews()
    elif fact is Fact.ENDED:
        assert decision == Move(None, "conversation.ended")
    elif (status, fact) in MOVES:
        assert isinstance(decision, Move)
        assert decision.to is MOVES[status, fact]
    elif fact is Fact.UNSENT or PLACE[status] < PLACE[EARLIEST[fact]]:
        assert decision == Break()
    else:
        assert decision == OldNews()


@pytest.mark.parametrize("status", Status)
def test_nothing_ever_moves_backwards_but_a_dial_of_which_nothing_was_sent(status: Status) -> None:
    for fact in Fact:
        decision = lifecycle.decide(status, fact)
        if (
            isinstance(decision, Move)
            and decision.to is not None
            and (status, fact) != (Status.DIALING, Fact.UNSENT)
        ):
            assert PLACE[decision.to] >= PLACE[status]


def test_each_step_of_a_call_is_told_once_by_its_event() -> None:
    told = {
        (status, fact): decision.event
        for status, fact in PAIRS
        if isinstance(decision := lifecycle.decide(status, fact), Move) and decision.event
    }
    events = {fact: event for (_, fact), event in told.items()}
    assert events == {
        Fact.INTENT: "conversation.started",
        Fact.RINGING: "conversation.ringing",
        Fact.ANSWERED: "conversation.answered",
        Fact.ENDED: "conversation.ended",
    }


def test_the_codes_statuses_and_words_are_those_of_the_contract() -> None:
    assert {code.value for code in HangupCode} == {code.value for code in structs.HangupCode}
    assert {status.value for status in Status} == {
        each.value for each in structs.ConversationStatus
    }
    assert {rule.by.value for rule in HANGUPS.values()} <= {by.value for by in structs.HangupBy}
    assert {rule.fault.value for rule in HANGUPS.values()} <= {
        fault.value for fault in structs.HangupFault
    }


def product_rows() -> dict[str, tuple[str, str, str, str]]:
    """code → (status, by, fault, retryable) as written in product.md §6."""
    product = ROOT.parent / "shared" / "product.md"
    if not product.exists():
        pytest.skip(f"{product} is not here: the codes are not compared with the product's page")
    table = product.read_text(encoding="utf-8").split("### Hangup codes")[1].split("\n\n")[1]
    rows: dict[str, tuple[str, str, str, str]] = {}
    for line in table.splitlines()[2:]:
        first, status, by, fault, retryable = (cell.strip() for cell in line.strip("|").split("|"))
        for code in re.findall(r"`([a-z_]+)`", first):
            rows[code] = (status, by, fault, retryable)
    return rows


def test_every_hangup_code_says_what_the_product_says() -> None:
    rows = product_rows()
    assert set(rows) == {code.value for code in HangupCode}
    for code, rule in HANGUPS.items():
        status, by, fault, retryable = rows[code]
        if status == "outbound failed, inbound rejected":
            assert lifecycle.status_for(code, "outbound") is Status.FAILED
            assert lifecycle.status_for(code, "inbound") is Status.REJECTED
        else:
            assert lifecycle.status_for(code, "outbound") == status
            assert lifecycle.status_for(code, "inbound") == status
        if code is HangupCode.CANCELLED_BY_USER:
            assert rule.by == "user"
        elif code is HangupCode.CANCELLED_BY_CAMPAIGN:
            assert rule.by == "platform"
        else:
            assert rule.by == by
        assert rule.fault in [each.strip() for each in fault.split("/")]
        assert rule.retryable is retryable.startswith("yes")


@pytest.mark.parametrize("code", HangupCode)
def test_a_code_ends_some_living_status_in_a_terminal_one(code: HangupCode) -> None:
    rule = HANGUPS[code]
    assert rule.possible_in
    assert not rule.possible_in & TERMINAL
    assert lifecycle.status_for(code, "outbound") in TERMINAL
    if rule.status is Status.COMPLETED:
        assert rule.possible_in == TALKING, "nobody has talked before the answer"
    if rule.status in (Status.NO_ANSWER, Status.BUSY, Status.CANCELLED):
        assert not rule.possible_in & TALKING, "somebody has answered"


def test_a_user_who_ends_a_call_that_is_answered_at_that_moment_gets_the_right_code() -> None:
    for code in (HangupCode.ENDED_BY_USER, HangupCode.CANCELLED_BY_USER):
        for status in LIVING:
            is_talking = status is Status.IN_PROGRESS
            expected = HangupCode.ENDED_BY_USER if is_talking else HangupCode.CANCELLED_BY_USER
            assert lifecycle.code_in(status, code) is expected


def test_an_agent_that_is_lost_between_intent_and_answer_leaves_the_outcome_unknown() -> None:
    for status in DIALED:
        assert lifecycle.code_in(status, HangupCode.AGENT_LOST) is HangupCode.OUTCOME_UNKNOWN
    assert lifecycle.code_in(Status.IN_PROGRESS, HangupCode.AGENT_LOST) is HangupCode.AGENT_LOST


def test_a_code_that_can_not_be_is_no_code() -> None:
    assert lifecycle.code_in(Status.IN_PROGRESS, HangupCode.BUSY) is None
    assert lifecycle.code_in(Status.DIALING, HangupCode.REMOTE_HANGUP) is None
    assert lifecycle.code_in(Status.COMPLETED, HangupCode.REMOTE_HANGUP) is None


@pytest.mark.parametrize("status", LIVING)
def test_every_living_status_has_a_deadline_and_a_code_for_missing_it(status: Status) -> None:
    seconds = lifecycle.deadline_seconds(status, ring_timeout_seconds=30, max_duration_seconds=600)
    expected = {"scheduled": 300, "queued": 60, "dialing": 15, "ringing": 35, "in_progress": 605}
    assert seconds == expected[status]
    for is_cap_shortened, is_waiting in itertools.product((True, False), repeat=2):
        code = lifecycle.code_when_overdue(
            status, is_cap_shortened=is_cap_shortened, is_waiting=is_waiting
        )
        assert lifecycle.code_in(status, code) is code


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_a_terminal_status_has_no_deadline(status: Status) -> None:
    with pytest.raises(KeyError):
        lifecycle.deadline_seconds(status, ring_timeout_seconds=30, max_duration_seconds=600)


def test_the_code_of_a_lost_agent_can_end_what_it_ends() -> None:
    for status in (Status.DIALING, Status.RINGING, Status.IN_PROGRESS):
        code = lifecycle.code_when_agent_lost(status)
        assert code is not None
        assert lifecycle.code_in(status, code) is code
    assert lifecycle.code_when_agent_lost(Status.QUEUED) is None, "another agent may take it"


def test_the_picture_in_the_docs_is_that_of_the_table() -> None:
    page = (ROOT / "docs" / "lifecycle.md").read_text(encoding="utf-8")
    drawn = re.findall(r"```mermaid\n(.*?)```", page, re.DOTALL)
    assert drawn == [lifecycle.draw()], (
        "docs/lifecycle.md is old: put this between its ```mermaid fences:\n" + lifecycle.draw()
    )
