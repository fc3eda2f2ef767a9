"""The reports of one call until the server has acknowledged them: numbered 1, 2, 3 … without a gap.

Kept in memory: for a text call, whose life is milliseconds, and which the server ends as `agent_lost` should this process
die meanwhile. `spool.Spool` keeps the same on disk.
"""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from bolti_server.worker_api.messages import (
    EndReport,
    Report,
    ReportType,
    ToolCallReport,
    TurnReport,
)

MAX_BATCH = 50


class SpooledCall(msgspec.Struct, frozen=True, kw_only=True):
    """Whose reports these are, and the token that sends them."""

    conversation_id: str
    epoch: int
    token: str


class Line(msgspec.Struct, frozen=True, kw_only=True):
    made_at: float  # of the wall clock: the only one that survives the process
    report: Report


class ReportLog:
    def __init__(self, call: SpooledCall) -> None:
        self.call = call
        self._lines: list[Line] = []
        self.acknowledged = 0

    @property
    def recording_file(self) -> Path | None:
        """Where the recording grows; None where there is none."""
        return None

    def recording_age_ms(self) -> int | None:
        """How long ago the first sound of the recording was."""
        return None

    @property
    def last_number(self) -> int:
        return len(self._lines)

    @property
    def is_ended(self) -> bool:
        """Whether the call's `ended` report is among them."""
        return any(line.report.type == "ended" for line in self._lines)

    @property
    def is_acknowledged(self) -> bool:
        return self.acknowledged >= self.last_number

    def append(
        self,
        report_type: ReportType,
        *,
        turn: TurnReport | None = None,
        tool_call: ToolCallReport | None = None,
        ended: EndReport | None = None,
        age_seconds: float = 0.0,
    ) -> int:
        """Keeps one and returns its number. `age_seconds`: how long ago what it tells happened."""
        report = Report(
            number=self.last_number + 1,
            type=report_type,
            turn=turn,
            tool_call=tool_call,
            ended=ended,
        )
        line = Line(made_at=time.time() - age_seconds, report=report)
        self._keep(line)
        self._lines.append(line)
        return report.number

    def pending(self, limit: int = MAX_BATCH) -> list[Report]:
        """The oldest that the server has not acknowledged, each with its age as of now."""
        now = time.time()
        return [
            msgspec.structs.replace(line.report, age_ms=max(0, round((now - line.made_at) * 1000)))
            for line in self._lines[self.acknowledged : self.acknowledged + limit]
        ]

    def acknowledge(self, through: int) -> None:
        """The server keeps everything up to `through`. An older answer that comes late takes nothing back."""
        if through > self.acknowledged:
            self._set_acknowledged(min(through, self.last_number))

    def rewind(self, wanted: int) -> None:
        """The server lacks `wanted` and what follows: they are pending again."""
        if 1 <= wanted <= self.acknowledged:
            self._set_acknowledged(wanted - 1)

    def close(self) -> None:
        """Gives it up as it is. Safe to repeat."""

    def remove(self) -> None:
        """Everything has arrived. Safe to repeat."""

    def _keep(self, line: Line) -> None:
        """Before it counts as reported."""

    def _set_acknowledged(self, number: int) -> None:
        self.acknowledged = number
