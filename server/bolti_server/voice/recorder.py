"""LiveKit's recorder, steadier and safe against the process's death. It stands on internals of livekit-agents 1.8.9, which
is pinned; tests/server/voice/test_recording.py is the contract that an upgrade has to keep.

What is different, and why:
- The callee's frames follow each other by their own length. LiveKit places them by when they came to be looked at: a
  process that is held up for a tenth of a second leaves a hole there, and lays the frames that had waited over each other.
- Every packet is written through. LiveKit's file is written in blocks of 256 kB: after 15 seconds of a call nothing of it
  was on the disk (measured), so a killed worker's recording was lost.
"""

from __future__ import annotations

import time
from typing import Any

import av
import numpy as np
from livekit import rtc
from livekit.agents.voice.recorder_io import RecorderIO
from livekit.agents.voice.recorder_io.recorder_io import (
    MAX_RESAMPLER_LAG,
    _Captured,
    _EndRun,
    _Track,
)

from bolti_server.base.logging import get_logger

MAX_JITTER_SECONDS = 1.0
_CALLEE, _AGENT, _GUEST = range(
    3
)  # tracks on the recorder's timeline; the guest is written into the agent's channel

log = get_logger("recording")


class SteadyRecorder(RecorderIO):
    """Used as LiveKit's own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._next_at: dict[int, float] = {}  # of whoever is recorded as it arrives

    def put_guest(self, frame: rtc.AudioFrame) -> None:
        """It has just arrived, as the callee's does."""
        self._put(_Captured(_GUEST, time.time() - frame.duration, frame))

    def _put(self, item: Any) -> None:
        if isinstance(item, _Captured) and item.channel != _AGENT:
            expected = self._next_at.get(item.channel)
            if expected is not None and abs(item.started_at - expected) < MAX_JITTER_SECONDS:
                item.started_at = expected
            self._next_at[item.channel] = item.started_at + item.frame.duration
            self._input_settled = min(self._next_at.values())
        super()._put(item)

    def _encode_thread(self) -> None:
        assert self._output_path is not None
        try:
            self._output_path.parent.mkdir(parents=True, exist_ok=True)
            with av.open(
                self._output_path,
                mode="w",
                format="ogg",
                container_options={"flush_packets": "1"},
            ) as container:
                stream = container.add_stream("libopus", rate=self._sample_rate, layout="stereo")
                self._encode(container, stream)
                for packet in stream.encode(None):
                    container.mux(packet)
        except Exception:
            log.exception("recording_broke", file=self._output_path.name)
        finally:
            self._loop.call_soon_threadsafe(self._closed)

    def _closed(self) -> None:
        if not self._close_fut.done():
            self._close_fut.set_result(None)

    def _encode(self, container: av.container.OutputContainer, stream: Any) -> None:
        """Until the queue says that no more comes; silence is whatever nothing was placed over."""
        assert self._t0 is not None
        tracks = [_Track(sample_rate=self._sample_rate, t0=self._t0) for _ in range(3)]
        cursor = 0
        while (item := self._q.get()) is not None:
            if isinstance(item, _Captured):
                tracks[item.channel].push(item.started_at, item.frame)
                continue
            if isinstance(item, _EndRun):
                tracks[item.channel].end_run()
                continue
            end = self._settled_samples(tracks, item.until - self._t0)
            if end <= cursor:
                continue
            callee, agent, guest = (track.take(cursor, end) for track in tracks)
            block = np.stack([callee, np.clip(agent + guest, -1.0, 1.0)])
            cursor = end
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
            frame.sample_rate = self._sample_rate
            for packet in stream.encode(frame):
                container.mux(packet)

    def _settled_samples(self, tracks: list[_Track], seconds: float) -> int:
        """How far may be written: what a resampler still holds back is waited for, up to MAX_RESAMPLER_LAG."""
        end = round(seconds * self._sample_rate)
        held = end - round(MAX_RESAMPLER_LAG * self._sample_rate)
        for track in tracks:
            through = track.placed_through
            if through is None:
                continue
            if through >= held:
                end = min(end, through)
            else:
                track.end_run()
        return end
