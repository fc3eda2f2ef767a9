"""What is killed in the middle of a call, and what is there afterwards: all of it, within its deadline."""

from __future__ import annotations

import os
import signal

import pytest
from tests.system.conftest import Stack, wait_until
from tests.system.receivers import Receiver

from bolti import Bolti, Conversation
from bolti_server.base.embedded import EmbeddedPostgres

TALKS = "+12025550100"
NEVER_ANSWERS = "+12025550102"


def place(stack: Stack, to_number: str = TALKS) -> str:
    call = stack.bolti.agents.outbound_call(
        stack.running.agent_id, to_number=to_number, variable_values={"name": "Asha"}
    )
    return call.conversation_id


def wait_for_a_turn(bolti: Bolti, conversation_id: str) -> None:
    wait_until(
        lambda: bolti.conversations.get(conversation_id).transcript, 30, "the agent has spoken"
    )


def ended(bolti: Bolti, conversation_id: str, timeout_seconds: float) -> Conversation:
    return bolti.conversations.wait_until_ended(conversation_id, timeout_seconds=timeout_seconds)


def held_micros(bolti: Bolti) -> int:
    return bolti.billing.balance(ledger="test").held_micros


def events_of(bolti: Bolti, conversation_id: str) -> list[str]:
    return [event.type for event in bolti.events.list(conversation_id=conversation_id)]


def assert_told(receiver: Receiver, conversation_id: str) -> None:
    """The webhook of the end arrived, whatever happened in between."""
    wait_until(
        lambda: conversation_id in receiver.subjects("conversation.ended"),
        60,
        "the webhook of the end",
    )


@pytest.mark.slow
def test_a_killed_worker_ends_its_call_as_agent_lost_and_costs_nothing(
    stack: Stack, receiver: Receiver
) -> None:
    stack.bolti.webhook_endpoints.create(url=receiver.url, event_types=["conversation.ended"])
    conversation_id = place(stack)
    wait_for_a_turn(stack.bolti, conversation_id)
    os.kill(stack.running.worker_pid, signal.SIGKILL)
    conversation = ended(stack.bolti, conversation_id, 60)
    assert conversation.hangup is not None
    assert (conversation.status, conversation.hangup.code) == ("failed", "agent_lost")
    assert conversation.answered_at is not None
    assert conversation.transcript, "what had been said is kept"
    assert conversation.cost is None or conversation.cost.amount_micros == 0
    assert held_micros(stack.bolti) == 0
    assert events_of(stack.bolti, conversation_id).count("conversation.ended") == 1
    assert_told(receiver, conversation_id)
    again = ended(stack.bolti, place(stack), 90)
    assert again.status == "completed", "a new worker takes the next call"


@pytest.mark.slow
def test_a_worker_that_is_killed_while_it_rings_leaves_an_unknown_outcome_that_costs_nothing(
    stack: Stack, receiver: Receiver
) -> None:
    stack.bolti.webhook_endpoints.create(url=receiver.url, event_types=["conversation.ended"])
    conversation_id = place(stack, NEVER_ANSWERS)
    wait_until(
        lambda: stack.bolti.conversations.get(conversation_id).status == "ringing", 30, "it rings"
    )
    os.kill(stack.running.worker_pid, signal.SIGKILL)
    conversation = ended(stack.bolti, conversation_id, 60)
    assert conversation.hangup is not None
    assert (conversation.status, conversation.hangup.code) == ("failed", "outcome_unknown")
    assert conversation.answered_at is None
    assert conversation.recording_status == "none"
    assert conversation.cost is None or conversation.cost.amount_micros == 0
    assert held_micros(stack.bolti) == 0
    assert_told(receiver, conversation_id)


@pytest.mark.slow
def test_a_killed_server_finds_its_call_again(stack: Stack, receiver: Receiver) -> None:
    stack.bolti.webhook_endpoints.create(url=receiver.url, event_types=["conversation.ended"])
    conversation_id = place(stack)
    wait_for_a_turn(stack.bolti, conversation_id)
    stack.kill_server()
    stack.restart()
    conversation = ended(stack.bolti, conversation_id, 120)
    assert conversation.status == "completed", conversation.hangup
    assert len(conversation.transcript) > 2, "the call went on while the server was away"
    assert conversation.cost is not None
    assert conversation.cost.amount_micros > 0
    assert held_micros(stack.bolti) == 0
    assert_told(receiver, conversation_id)


@pytest.mark.slow
def test_a_killed_database_comes_back_during_the_call(stack: Stack, receiver: Receiver) -> None:
    stack.bolti.webhook_endpoints.create(url=receiver.url, event_types=["conversation.ended"])
    conversation_id = place(stack)
    wait_for_a_turn(stack.bolti, conversation_id)
    postgres = EmbeddedPostgres(stack.running.data_dir)
    postgres.start()
    postgres.kill()
    postgres.release()
    conversation = ended(stack.bolti, conversation_id, 120)
    assert conversation.status == "completed", conversation.hangup
    assert conversation.transcript
    assert held_micros(stack.bolti) == 0
    assert_told(receiver, conversation_id)


@pytest.mark.slow
def test_all_killed_at_once_ends_the_call_after_the_restart(
    stack: Stack, receiver: Receiver
) -> None:
    stack.bolti.webhook_endpoints.create(url=receiver.url, event_types=["conversation.ended"])
    conversation_id = place(stack)
    wait_for_a_turn(stack.bolti, conversation_id)
    stack.kill_server()
    os.kill(stack.running.worker_pid, signal.SIGKILL)
    postgres = EmbeddedPostgres(stack.running.data_dir)
    postgres.start()
    postgres.kill()
    postgres.release()
    stack.restart()
    conversation = ended(stack.bolti, conversation_id, 90)
    assert conversation.hangup is not None
    assert (conversation.status, conversation.hangup.code) == ("failed", "agent_lost")
    assert conversation.transcript
    assert held_micros(stack.bolti) == 0
    assert_told(receiver, conversation_id)
