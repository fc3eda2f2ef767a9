"""The recording: stereo Ogg/Opus, left the callee, right the agent (and whoever it calls in), from the answer on.

Why not `session.start(record=…)`: that begins before the dial, so the file would open with the ringing, and a turn's
`start_ms` would not be its place in the recording; and it writes into a folder that is gone with the job, where a killed
worker's recording is never found. So the session's own recorder is put into the same place by hand, told to write into
the call's spool, and started at the answer.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from livekit import rtc
from livekit.agents import AgentSession

from bolti_server.base.logging import get_logger
from bolti_server.voice.recorder import SteadyRecorder
from bolti_server.worker_api.spool import note_recording_start

CLOSE_SECONDS = 10.0

log = get_logger("recording")


class Recording:
    """Make it after `line.attach(session)` and before `session.start`: it stands between the session and the line."""

    def __init__(self, session: AgentSession[Any], file: Path) -> None:
        assert session.input.audio is not None
        assert session.output.audio is not None
        self._file = file
        self._recorder = SteadyRecorder(agent_session=session)
        session.input.audio = self._recorder.record_input(session.input.audio)
        session.output.audio = self._recorder.record_output(session.output.audio)

    async def start(self) -> None:
        """The callee has answered: what is heard from now on is recorded."""
        note_recording_start(self._file)
        await self._recorder.start(output_path=self._file)

    def add_guest(self, frame: rtc.AudioFrame) -> None:
        """What somebody has said, just now, who was called into the call: it is heard on the agent's channel."""
        if self._recorder.recording:
            self._recorder.put_guest(frame)

    async def close(self) -> bool:
        """Completes the file. True: there is a recording. Never raises: a call must not fail by its recording."""
        if not self._recorder.recording:
            return False
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._recorder.aclose()
        except TimeoutError:
            log.warning("recording_not_completed", file=self._file.name)
        return self._file.exists() and self._file.stat().st_size > 0
