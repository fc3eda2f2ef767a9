"""Recordings arrive whole or not at all."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.sdk.conftest import Face
from tests.sdk.support.events import CONVERSATION
from tests.sdk.support.scripted_server import Answer, NoAnswer, Received, Reply, problem

import bolti

SOUND = bytes(range(256)) * 1000
PENDING = problem("recording_not_available", 404, recording_status="pending")


def part(request: Received, cut_after: int | None) -> Reply:
    asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
    if asked is None:
        return Reply(200, SOUND, {"Content-Type": "audio/ogg"}, cut_after=cut_after)
    start = int(asked[1])
    where = {"Content-Range": f"bytes {start}-{len(SOUND) - 1}/{len(SOUND)}"}
    return Reply(206, SOUND[start:], {"Content-Type": "audio/ogg", **where}, cut_after=cut_after)


def fetch(client: Any, **more: Any) -> Any:
    return client.conversations.recording(CONVERSATION, **more)


async def test_a_recording_is_bytes_or_a_file(face: Face, tmp_path: Path) -> None:
    face.server.script = lambda request: part(request, None)
    assert await face(fetch) == SOUND
    target = tmp_path / "call.ogg"
    target.write_bytes(b"older")
    assert await face(lambda client: fetch(client, save_to=str(target))) == target
    assert target.read_bytes() == SOUND
    assert list(tmp_path.iterdir()) == [target]


async def test_a_dropped_download_goes_on_where_it_stopped(face: Face, tmp_path: Path) -> None:
    cuts: list[Any] = [100_000, "gone", 50_000, 0, None]

    def script(request: Received) -> Answer:
        cut = cuts.pop(0)
        return NoAnswer() if cut == "gone" else part(request, cut)

    face.server.script = script
    saved = await face(lambda client: fetch(client, save_to=tmp_path / "call.ogg"))
    assert saved.read_bytes() == SOUND
    ranges = [each.headers.get("range") for each in face.server.received]
    assert ranges[0] is None
    assert ranges[-1] == "bytes=150000-"


async def test_a_server_without_ranges_is_read_again_and_nothing_comes_twice(face: Face) -> None:
    cuts = [100_000, 30_000, None]
    face.server.script = lambda _: Reply(200, SOUND, cut_after=cuts.pop(0))
    assert await face(fetch) == SOUND


@pytest.mark.parametrize(
    "headers", [{}, {"Content-Range": "bytes 200000-255999/256000"}, {"Content-Range": "nonsense"}]
)
async def test_a_part_that_does_not_fit_is_not_glued_on(
    face: Face, tmp_path: Path, headers: dict[str, str]
) -> None:
    face.server.answers = [Reply(200, SOUND, cut_after=1000), Reply(206, SOUND[200_000:], headers)]
    with pytest.raises(bolti.UnexpectedAnswer):
        await face(lambda client: fetch(client, save_to=tmp_path / "call.ogg"))
    assert list(tmp_path.iterdir()) == []


async def test_a_recording_that_is_being_made_is_waited_for(face: Face) -> None:
    face.server.answers = [PENDING, PENDING, Reply(200, SOUND)]
    assert await face(fetch) == SOUND


async def test_waiting_ends(face: Face, tmp_path: Path) -> None:
    face.server.answers = [PENDING]
    with pytest.raises(bolti.RecordingNotAvailable) as caught:
        await face(lambda client: fetch(client, save_to=tmp_path / "call.ogg", wait_seconds=0.2))
    assert caught.value.recording_status == "pending"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", ["none", "failed"])
async def test_a_recording_that_will_not_come_is_told_at_once(face: Face, status: str) -> None:
    face.server.answers = [problem("recording_not_available", 404, recording_status=status)]
    with pytest.raises(bolti.RecordingNotAvailable):
        await face(fetch)
    assert len(face.server.received) == 1


async def test_a_download_that_makes_no_progress_ends_without_a_file(
    face: Face, tmp_path: Path
) -> None:
    face.server.script = lambda request: part(request, 0)
    with pytest.raises(bolti.ConnectionFailed, match="broke off after 0 bytes"):
        await face(lambda client: fetch(client, save_to=tmp_path / "call.ogg"), max_retries=1)
    assert list(tmp_path.iterdir()) == []
    assert len(face.server.received) == 3


async def test_a_folder_that_is_not_there_is_told_before_anything_is_fetched(
    face: Face, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        await face(lambda client: fetch(client, save_to=tmp_path / "no" / "call.ogg"))
    assert face.server.received == []
