"""A text-to-speech that breaks, for the place of a provider in `Models`."""

from __future__ import annotations

from livekit.agents import APIStatusError, tts
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions

RATE = 16_000


class BreakingTTS(tts.TTS[str]):
    """Makes a third of a second of sound for each of the first `good` texts, then answers `status`."""

    def __init__(self, good: int, status: int) -> None:
        capabilities = tts.TTSCapabilities(streaming=False)
        super().__init__(capabilities=capabilities, sample_rate=RATE, num_channels=1)
        self.good = good
        self.status = status

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        return _Stream(tts=self, input_text=text, conn_options=conn_options)


class _Stream(tts.ChunkedStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        voice = self._tts
        assert isinstance(voice, BreakingTTS)
        voice.good -= 1
        if voice.good < 0:
            raise APIStatusError("it broke", status_code=voice.status)
        output_emitter.initialize(
            request_id="1", sample_rate=RATE, num_channels=1, mime_type="audio/pcm"
        )
        output_emitter.push(b"\x00\x20" * (RATE // 3))
        output_emitter.flush()
