"""What the simulated language model makes of an agent's rules."""

from __future__ import annotations

import time

import pytest

from bolti_server.simulated.rules import UNSURE, Answer, Rules, complaint_about
from bolti_server.worker_api.messages import LlmRule, RuleTool

BOOK = LlmRule(
    hear="book|appointment",
    say="Tomorrow at ten is free.",
    tool=RuleTool(name="check_availability", arguments={"day": "tomorrow"}),
)
BYE = LlmRule(hear="bye", say="Goodbye.", tool=RuleTool(name="cut_call"))
TOOLS = {"check_availability", "cut_call"}


def test_the_first_rule_that_matches_counts_whatever_the_case() -> None:
    rules = Rules([LlmRule(hear="hello", say="Hi."), LlmRule(hear=".", say="What?")], None)
    assert rules.answer("Oh, HELLO there", (), has_result=False) == Answer("Hi.")
    assert rules.answer("hm", (), has_result=False) == Answer("What?")


def test_a_tool_is_called_first_and_the_words_follow_its_result() -> None:
    rules = Rules([BOOK], None)
    heard = "I want to book something"
    assert rules.answer(heard, TOOLS, has_result=False) == Answer(
        None, "check_availability", {"day": "tomorrow"}
    )
    assert rules.answer(heard, TOOLS, has_result=True) == Answer("Tomorrow at ten is free.")


def test_cut_call_comes_after_its_words_and_nothing_after_it() -> None:
    rules = Rules([BYE], "I see.")
    assert rules.answer("good bye", TOOLS, has_result=False) == Answer("Goodbye.", "cut_call")
    assert rules.answer("good bye", TOOLS, has_result=True) == Answer()


def test_a_tool_that_the_agent_lacks_is_left_out() -> None:
    assert Rules([BOOK], None).answer("book", {"cut_call"}, has_result=False) == Answer(BOOK.say)


def test_a_tool_without_words_is_followed_by_the_default_reply() -> None:
    rules = Rules([LlmRule(hear="x", tool=RuleTool(name="cut"))], "All done.")
    assert rules.answer("x", {"cut"}, has_result=True) == Answer("All done.")


def test_where_nothing_matches_it_gives_the_default_reply() -> None:
    assert Rules([BOOK], "Go on.").answer("hm", TOOLS, has_result=False) == Answer("Go on.")
    assert Rules([], None).answer("", (), has_result=False) == Answer(UNSURE)


@pytest.mark.parametrize("hear", ["(", "a{2,1}", "(?=x)", r"(a)\1"])
def test_a_pattern_that_cannot_be_used_is_named(hear: str) -> None:
    assert repr(hear) in (complaint_about(hear) or "")
    with pytest.raises(ValueError, match="regular expression"):
        Rules([LlmRule(hear=hear)], None)


@pytest.mark.parametrize(
    "hear", ["bye", "^(yes|no)$", r"\bbook\b", "नमस्ते", "a b|c)?".replace(")", "")]
)
def test_a_pattern_that_can_be_used_is_not_complained_about(hear: str) -> None:
    assert complaint_about(hear) is None


def test_no_pattern_holds_up_the_worker() -> None:
    rules = Rules([LlmRule(hear="(a+)+$")], None)
    started = time.perf_counter()
    rules.answer("a" * 5_000 + "!", (), has_result=False)
    assert time.perf_counter() - started < 1
