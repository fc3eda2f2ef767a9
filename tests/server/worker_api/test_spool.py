"""Reports on a worker's disk: numbered without a gap, kept until acknowledged, found again after the process's death."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bolti_server.worker_api.messages import EndReport, TurnReport
from bolti_server.worker_api.spool import Spool, SpooledCall, SpoolTaken, left_behind

CALL = SpooledCall(conversation_id="conv_1", epoch=2, token="conv_1.2.secret")


def turn(index: int) -> TurnReport:
    return TurnReport(turn_index=index, role="agent", text=f"turn {index}", start_ms=0, end_ms=1)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool.create(tmp_path, CALL)


def test_reports_are_numbered_from_one_without_a_gap(spool: Spool) -> None:
    assert [spool.append("agent_ready"), spool.append("ringing"), spool.append("answered")] == [
        1,
        2,
        3,
    ]
    assert [report.number for report in spool.pending()] == [1, 2, 3]


def test_what_is_acknowledged_is_no_longer_pending(spool: Spool) -> None:
    for index in range(3):
        spool.append("turn", turn=turn(index))
    spool.acknowledge(2)

    assert [report.number for report in spool.pending()] == [3]
    spool.acknowledge(3)
    assert spool.is_acknowledged


def test_a_late_answer_takes_no_acknowledgement_back(spool: Spool) -> None:
    for index in range(3):
        spool.append("turn", turn=turn(index))
    spool.acknowledge(3)
    spool.acknowledge(1)

    assert spool.pending() == []


def test_a_server_that_acknowledges_too_much_loses_nothing(spool: Spool) -> None:
    spool.append("agent_ready")
    spool.acknowledge(99)
    spool.append("ringing")

    assert [report.number for report in spool.pending()] == [2]


def test_a_gap_makes_everything_from_it_pending_again(spool: Spool) -> None:
    for index in range(4):
        spool.append("turn", turn=turn(index))
    spool.acknowledge(4)
    spool.rewind(3)

    assert [report.number for report in spool.pending()] == [3, 4]


def test_a_batch_has_a_limit_and_begins_with_the_oldest(spool: Spool) -> None:
    for index in range(5):
        spool.append("turn", turn=turn(index))

    assert [report.number for report in spool.pending(2)] == [1, 2]


def test_a_report_tells_how_long_ago_it_happened(spool: Spool) -> None:
    spool.append("ended", ended=EndReport(code="agent_hangup"), age_seconds=3.0)

    (report,) = spool.pending()
    assert 3000 <= report.age_ms < 4000


def test_the_next_process_finds_what_the_last_one_left(tmp_path: Path, spool: Spool) -> None:
    spool.append("agent_ready")
    spool.append("turn", turn=turn(0))
    spool.acknowledge(1)
    spool.close()

    (found,) = left_behind(tmp_path)
    assert found.call == CALL
    assert [report.turn for report in found.pending()] == [turn(0)]
    assert found.append("ringing") == 3


def test_a_folder_that_a_living_process_holds_is_left_alone(tmp_path: Path, spool: Spool) -> None:
    assert left_behind(tmp_path) == []
    with pytest.raises(SpoolTaken):
        Spool.create(tmp_path, CALL)


def test_a_report_that_was_half_written_when_the_process_died_never_was(
    tmp_path: Path, spool: Spool
) -> None:
    spool.append("agent_ready")
    spool.close()
    with (spool.folder / "reports.jsonl").open("ab") as file:
        file.write(b'{"made_at":1.0,"report":{"number":2,"ty')

    (found,) = left_behind(tmp_path)
    assert [report.number for report in found.pending()] == [1]
    assert found.append("ringing") == 2
    found.close()
    (again,) = left_behind(tmp_path)
    assert [report.type for report in again.pending()] == ["agent_ready", "ringing"]


def test_a_folder_without_a_call_is_swept_away(tmp_path: Path) -> None:
    (tmp_path / "conv_9.1").mkdir()

    assert left_behind(tmp_path) == []
    assert not (tmp_path / "conv_9.1").exists()


def test_an_empty_disk_has_nothing_left_behind(tmp_path: Path) -> None:
    assert left_behind(tmp_path / "nowhere") == []


def test_removing_leaves_nothing(tmp_path: Path, spool: Spool) -> None:
    spool.append("agent_ready")
    spool.remove()
    spool.remove()

    assert list(tmp_path.iterdir()) == []


def test_the_token_is_readable_by_this_user_alone(spool: Spool) -> None:
    assert (spool.folder / "call.json").stat().st_mode & 0o077 == 0


_WRITES_AND_WAITS = """
import sys
from pathlib import Path
from bolti_server.worker_api.spool import Spool, SpooledCall
spool = Spool.create(Path(sys.argv[1]), SpooledCall(conversation_id="conv_1", epoch=2, token="t"))
spool.append("agent_ready")
spool.append("ringing")
print("written", flush=True)
sys.stdin.read()
"""


def test_reports_survive_a_kill_between_writing_and_acknowledgement(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITES_AND_WAITS, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"written\n"
    assert left_behind(tmp_path) == []
    process.send_signal(signal.SIGKILL)
    process.wait()

    (found,) = left_behind(tmp_path)
    assert [report.type for report in found.pending()] == ["agent_ready", "ringing"]


def test_a_spool_that_is_being_made_is_seen_by_nobody_who_looks_for_what_was_left(
    tmp_path: Path,
) -> None:
    (tmp_path / ".conv_9.1.4711").mkdir()

    assert left_behind(tmp_path) == []
    assert (tmp_path / ".conv_9.1.4711").exists(), "its process is just making it"


def test_a_spool_whose_process_died_while_it_was_made_is_removed_later(tmp_path: Path) -> None:
    stillborn = tmp_path / ".conv_9.1.4711"
    stillborn.mkdir()
    os.utime(stillborn, (0, 0))

    assert left_behind(tmp_path) == []
    assert not stillborn.exists()
