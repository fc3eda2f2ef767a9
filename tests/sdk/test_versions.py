"""Changing what one has read, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from tests.sdk.conftest import Face
from tests.sdk.support.contract import example
from tests.sdk.support.scripted_server import NoAnswer, Reply, json_reply, problem

import bolti

AGENT = "agent_01kavqm3t8e6zb2c4d5f7g9h1a"
TRUNK = "trunk_01kavqm3t8e6zb2c4d5f7g9h1s"


async def test_the_expected_version_goes_along_as_its_etag(face: Face) -> None:
    face.server.answers = [json_reply(example("Agent")), Reply(204), json_reply(example("Agent"))]
    await face(lambda b: b.agents.update(AGENT, expected_version=3, goal="Book."))
    await face(lambda b: b.agents.delete(AGENT, expected_version=4))
    await face(lambda b: b.agent_versions.restore(AGENT, 1, expected_version=5))
    assert [each.headers["if-match"] for each in face.server.received] == ['"3"', '"4"', '"5"']
    assert face.server.received[0].json == {"goal": "Book."}


async def test_a_trunk_is_changed_and_deleted_in_the_version_that_was_read(face: Face) -> None:
    face.server.answers = [json_reply(example("Trunk")), Reply(204)]
    await face(lambda b: b.trunks.update(TRUNK, expected_version=1, name="Clinic", inbound=None))
    await face(lambda b: b.trunks.delete(TRUNK, expected_version=2))
    assert [each.headers["if-match"] for each in face.server.received] == ['"1"', '"2"']
    assert face.server.received[0].json == {"name": "Clinic", "inbound": None}


async def test_a_trunk_in_use_says_so(face: Face) -> None:
    face.server.answers = [problem("trunk_in_use", 409)]
    with pytest.raises(bolti.TrunkInUse):
        await face(lambda b: b.trunks.delete(TRUNK))


async def test_without_one_the_change_is_made_whatever_the_version(face: Face) -> None:
    face.server.answers = [json_reply(example("Agent"))]
    await face(lambda b: b.agents.update(AGENT, goal="Book."))
    assert "if-match" not in face.server.received[0].headers


async def test_a_stale_change_names_the_version_that_there_is(face: Face) -> None:
    face.server.answers = [problem("precondition_failed", 412, current_version=4)]
    with pytest.raises(bolti.PreconditionFailed) as caught:
        await face(lambda b: b.agents.update(AGENT, expected_version=3, goal="Book."))
    assert (caught.value.status, caught.value.current_version) == (412, 4)
    assert len(face.server.received) == 1


def changed(client: Any) -> Any:
    return client.agents.update(AGENT, expected_version=3, goal="Book.")


async def test_a_guarded_change_whose_answer_was_lost_is_not_sent_again(face: Face) -> None:
    """The second try would be refused for what the first has done, and look like somebody else's work."""
    face.server.answers = [NoAnswer(), json_reply(example("Agent"))]
    with pytest.raises(bolti.ConnectionFailed) as caught:
        await face(changed)
    assert caught.value.may_have_been_done
    assert len(face.server.received) == 1


async def test_restoring_is_sent_again_with_its_key(face: Face) -> None:
    face.server.answers = [NoAnswer(), json_reply(example("Agent"), 201)]
    await face(lambda b: b.agent_versions.restore(AGENT, 1, expected_version=3))
    keys = {each.headers["idempotency-key"] for each in face.server.received}
    assert (len(face.server.received), len(keys)) == (2, 1)
