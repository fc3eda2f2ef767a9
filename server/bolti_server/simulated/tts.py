"""The simulated voice: a sentence at a time, as speech, as speech with the modem in it, or as tones."""

from __future__ import annotations

import asyncio
import re

from livekit import rtc
from livekit.agents import APIConnectionError, tts, utils
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions
from livekit.agents.voice.io import TimedString

from bolti_server.simulated.espeak import VoiceFailed
from bolti_server.simulated.modem import LEAD_SYMBOLS, SYMBOL_SECONDS, encode
from bolti_server.simulated.sound import RATE, frame_of, seconds_of
from bolti_server.simulated.tone_voice import ToneVoice
from bolti_server.simulated.voices import WORDS_PER_MINUTE, speak
from bolti_server.worker_api.messages import TtsSpec

# A sentence ends at such a sign before a space; a shorter one ("Dr.") waits for what follows.
_SENTENCE = re.compile(r"\S.{11,}?[.!?।…]+(?=\s)|.*?\n", re.DOTALL)
_SPEECHLESS = bytes(
    2 * RATE // 10
)  # for a text of signs only, which would otherwise count as a failure
_PIECE_BYTES = 2 * RATE // 2
_TONES = ToneVoice()


class SimulatedTTS(tts.TTS[str]):
    def __init__(self, spec: TtsSpec) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=True, aligned_transcript=True),
            sample_rate=RATE,
            num_channels=1,
        )
        self._voice = spec.voice or "speech"
        self._speed = spec.speed or 1.0
        self._first_audio_delay_seconds = spec.first_audio_delay_ms / 1000

    @property
    def model(self) -> str:
        return "simulated"

    @property
    def provider(self) -> str:
        return "simulated"

    @property
    def first_audio_delay_seconds(self) -> float:
        """How long it lets wait for the first sound of each turn."""
        return self._first_audio_delay_seconds

    @property
    def symbol_seconds(self) -> float:
        """Of the modem: LEAD_SYMBOLS of its sound go before the first word, and one follows the last."""
        return SYMBOL_SECONDS if self._voice == "modem" else 0.0

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        return self._synthesize_with_stream(text, conn_options=conn_options)

    def stream(
        self, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.SynthesizeStream:
        return _SentenceStream(self, conn_options)

    async def sound_of(self, sentence: str) -> bytes:
        """PCM of RATE. Raises VoiceFailed."""
        if self._voice == "tone":
            sound = await _TONES.speak(sentence, "+f", round(WORDS_PER_MINUTE * self._speed))
        else:
            sound = await speak(sentence, "agent", self._speed)
        if self._voice == "modem":
            sound = encode(sentence, sound)
        return sound or _SPEECHLESS


class _SentenceStream(tts.SynthesizeStream):
    def __init__(self, voice: SimulatedTTS, conn_options: APIConnectOptions) -> None:
        self._voice = voice
        super().__init__(tts=voice, conn_options=conn_options)

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id=utils.shortuuid("tts_"),
            sample_rate=RATE,
            num_channels=1,
            mime_type="audio/pcm",
            stream=True,
        )
        output_emitter.start_segment(segment_id=utils.shortuuid("segment_"))
        sentences = _Sentences()
        spoken_seconds = 0.0
        has_begun = False
        async for piece in self._input_ch:
            is_flush = isinstance(piece, self._FlushSentinel)
            for sentence in sentences.rest() if is_flush else sentences.push(str(piece)):
                if not has_begun:
                    has_begun = True
                    self._mark_started()
                    await asyncio.sleep(self._voice.first_audio_delay_seconds)
                try:
                    sound = await self._voice.sound_of(sentence)
                except VoiceFailed as error:
                    raise APIConnectionError(str(error)) from error
                timed = _timed(
                    sentence, sound, spoken_seconds, symbol_seconds=self._voice.symbol_seconds
                )
                output_emitter.push_timed_transcript(timed)
                for frame in _pieces(sound):
                    output_emitter.push_frame(frame)
                spoken_seconds += seconds_of(sound)


def _pieces(sound: bytes) -> list[rtc.AudioFrame]:
    """Half a second each. `push` would begin with frames of a few ms, between which a busy loop leaves gaps."""
    return [frame_of(sound[at : at + _PIECE_BYTES]) for at in range(0, len(sound), _PIECE_BYTES)]


def _timed(
    sentence: str, sound: bytes, begins_at: float, *, symbol_seconds: float
) -> list[TimedString]:
    """The words with the seconds in which they sound: spread by their bytes, which for the modem is exact."""
    size = len(sentence.encode())
    lead_seconds = LEAD_SYMBOLS * symbol_seconds
    pace = (seconds_of(sound) - lead_seconds - symbol_seconds) / max(1, size)
    timed: list[TimedString] = []
    for match in re.finditer(r"\S+", sentence):
        start, end = (len(sentence[:at].encode()) for at in match.span())
        is_first = start == 0 and begins_at == 0
        timed.append(
            TimedString(
                match.group() if is_first else f" {match.group()}",
                start_time=begins_at + lead_seconds + start * pace,
                # A decoder may have found the packet's beginning half a symbol late.
                end_time=begins_at + lead_seconds + symbol_seconds / 2 + end * pace,
            )
        )
    return timed


class _Sentences:
    """Cuts a stream of text into sentences, as soon as each is complete."""

    def __init__(self) -> None:
        self._text = ""

    def push(self, piece: str) -> list[str]:
        self._text += piece
        found: list[str] = []
        while (match := _SENTENCE.match(self._text.lstrip())) is not None:
            self._text = self._text.lstrip()[match.end() :]
            found.append(match.group().strip())
        return [sentence for sentence in found if sentence]

    def rest(self) -> list[str]:
        text, self._text = self._text.strip(), ""
        return [text] if text else []
