"""What the server and the process that listens to recordings say to each other. Neither av nor numpy is needed for it."""

from __future__ import annotations

import msgspec


class RecordingPart(msgspec.Struct, frozen=True, kw_only=True):
    """`start_ms`: where it belongs in the whole recording."""

    file: str
    start_ms: int = 0


class AskedTurn(msgspec.Struct, frozen=True, kw_only=True):
    """An agent's turn that answers a caller. All ms since the start of the recording, as the session told them: they say
    where to look, not what is measured. `caller_start_ms` is where the caller's words began that it answers."""

    index: int
    caller_start_ms: int
    agent_start_ms: int
    agent_end_ms: int


class HeardRequest(msgspec.Struct, frozen=True, kw_only=True):
    """At least one part. `joined_file`: where one file of all parts shall be made, which is then listened to."""

    parts: list[RecordingPart]
    turns: list[AskedTurn]
    cpu_seconds: int
    joined_file: str | None = None


class HeardTurn(msgspec.Struct, frozen=True, kw_only=True):
    index: int
    heard_ms: int | None


class Peaks(msgspec.Struct, frozen=True, kw_only=True):
    """One byte an interval and side: 255 is full scale."""

    interval_ms: int
    caller: bytes
    agent: bytes


class HeardAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`problem`: why nothing could be heard."""

    duration_ms: int = 0
    turns: list[HeardTurn] = []
    peaks: Peaks | None = None
    problem: str | None = None
