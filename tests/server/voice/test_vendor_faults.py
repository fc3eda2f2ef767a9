"""The table of vendors' faults: a test a row. What is measured is what the callee heard on the line.

The rows are those of models.md, for speech to text, the language model and the voice, each with and without a second
vendor. Deepgram's Flux is not offered, so its ignored `Error` message has no row.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.server.support.vendor_faults import (
    APOLOGY,
    ASKS_AGAIN,
    LONGEST_SILENCE_MS,
    WISH,
    Played,
    Row,
    Table,
    rows,
)

from bolti_server.voice.models import Models

ROWS = list(rows())


@pytest.fixture(scope="module")
async def table(
    request: pytest.FixtureRequest, models: Models, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Table]:
    """Plays the rows that were asked for (`-k`), all of them side by side."""
    calls = [getattr(item, "callspec", None) for item in request.session.items]
    wanted = [call.params["row"] for call in calls if call is not None and "row" in call.params]
    playing = Table(models, tmp_path_factory.mktemp("faults"), wanted)
    yield playing
    await playing.stop()


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
async def test_a_callee_is_never_left_in_silence_by_a_vendor_that_fails(
    table: Table, row: Row
) -> None:
    played = await table.of(row)

    assert played.longest_silence_ms <= LONGEST_SILENCE_MS, (played.silences, played.heard)
    heard = " ".join(played.heard)
    if row.outcome == "answered":
        assert "Bye." in heard
        assert played.code == "remote_hangup"
        assert WISH in played.understood
    else:
        assert played.code == "model_error"
        assert row.kind in (played.detail or "")
    for words in row.says:
        assert words in heard
    _nothing_is_stored_that_was_not_heard(played)
    if row.has_second:
        assert "second" in played.usage[row.kind]
        assert ASKS_AGAIN not in heard  # nothing has to be said twice
        assert APOLOGY not in heard


def _nothing_is_stored_that_was_not_heard(played: Played) -> None:
    """Word for word, in order; a word that broke off in mid-sound may have been heard in part."""
    heard = iter(" ".join(played.heard).split())
    missing = [
        word
        for text in played.stored
        for word in text.split()
        if not any(each == word for each in heard)
    ]
    assert missing == [], (played.stored, played.heard)
