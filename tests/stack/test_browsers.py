"""Calls in a browser: the same agent, the same record, free."""

from __future__ import annotations

from tests.stack.support.browsers import Browser
from tests.stack.support.calls import Caller, end_of, rule
from tests.stack.support.recordings import words_of

GREETING = "Hello, this is Mira."
ANSWER = "We open at nine."


async def test_a_browser_talks_with_the_agent_word_for_word_and_it_costs_nothing(
    caller: Caller,
) -> None:
    agent = await caller.agent(
        rule("open", ANSWER), rule("goodbye", "Goodbye!", "cut_call"), first_message=GREETING
    )
    web = await caller.bolti.agents.web_call(agent)
    browser = Browser()
    await browser.join(web.server_url, web.token)
    try:
        await browser.hears(GREETING)
        await browser.say("When do you open?")
        await browser.hears(ANSWER)
        await browser.say("Thank you, goodbye.")
        call = await caller.ended(web.conversation_id)
    finally:
        await browser.leave()
    assert end_of(call) == ("completed", "agent_hangup")
    assert call.direction == "web"
    assert call.line == "browser"
    words = ["When do you open?", "Thank you, goodbye."]
    assert [turn.text for turn in call.transcript if turn.role == "user"] == words
    assert call.cost is None or call.cost.amount_micros == 0
    left, right = words_of(await caller.bolti.conversations.recording(call.id))
    assert left == words
    assert right == [GREETING, ANSWER, "Goodbye!"]


async def test_a_browser_that_leaves_ends_the_call(caller: Caller) -> None:
    agent = await caller.agent(first_message=GREETING)
    web = await caller.bolti.agents.web_call(agent)
    browser = Browser()
    await browser.join(web.server_url, web.token)
    await browser.hears(GREETING)
    await browser.leave()
    call = await caller.ended(web.conversation_id)
    assert end_of(call) == ("completed", "remote_hangup")
