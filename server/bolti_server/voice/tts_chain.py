"""The voice of a call: text to sound, from whichever vendor speaks in time.

Rules: a vendor that breaks off in mid-sentence is followed by the next at the first word that was not spoken; what has
been spoken is known by the times of the words, and a word is given out with the sound in which it ends, never before, so
that nothing is written down that was not heard. Every wait for sound is limited by us.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from functools import partial
from typing import Any

from livekit import rtc
from livekit.agents import APIConnectOptions, APITimeoutError, tokenize, tts, utils
from livekit.agents.types import USERDATA_TIMED_TRANSCRIPT, USERDATA_TTS_STARTED_TIME, TimedString
from livekit.agents.voice.io import AudioOutput

from bolti_server.voice.fallback import PAUSES_SECONDS, Vendor, Vendors

# For the first sound, with a second before it for turn-taking and the model: less than 5 s of silence.
SOUND_SECONDS = 3.0  # over all attempts
FIRST_SOUND_SECONDS = 2.0  # of one attempt
GAP_SECONDS = 0.7  # between two sounds, longer while what has come is still being played
HANDOVER_SECONDS = 0.5  # that another vendor needs for its first sound
OPEN_SECONDS = 6.0  # the same while the model still writes: the vendor may have nothing to say
LEAST_SECONDS = 0.3  # less than this is no chance
_SENTENCE = re.compile(r"\w.*[.!?।…]\s", re.DOTALL)
_WORD = re.compile(r"\S+")
# Of a breath of silence that carries the last words, where they end behind the sound.
_REST_SAMPLES = 10


class TtsChain:
    def __init__(self, vendors: Vendors[tts.TTS[Any]]) -> None:
        self._vendors = vendors
        self._rate = vendors.first.made.sample_rate

    def play_at(self, output: AudioOutput | None) -> None:
        """Makes sound of the rate that `output` takes: a resampler behind us would drop the words beside the sound."""
        if output is not None and output.sample_rate is not None:
            self._rate = output.sample_rate

    def prewarm(self) -> None:
        """Opens the connection of the vendor that will be asked."""
        self._vendors.first.made.prewarm()

    async def frames(self, text: AsyncIterable[str]) -> AsyncGenerator[rtc.AudioFrame, None]:
        """All of one rate, with the words that end in each beside it. Nothing for a text without words.

        Raises what the last vendor raised when none has spoken to the end; what came before has been given out.
        """
        script, spoken = _Script(), _Spoken()
        reading = asyncio.create_task(script.read(text))
        try:
            if not await script.has_words():
                return
            problem: Exception | None = None
            wait = _Wait()
            attempts = self._vendors.attempts()
            for index, vendor in enumerate(attempts):
                if index and attempts[index - 1] is vendor and not wait.has_sound:
                    await asyncio.sleep(PAUSES_SECONDS[index - 1])
                if problem is not None and (
                    wait.is_over or not await script.has_words(spoken.offset_in(script))
                ):
                    break
                try:
                    async for frame in self._spoken_by(vendor, script, spoken, wait):
                        yield frame
                except Exception as error:  # noqa: BLE001 - the edge to a vendor's plugin, which may raise anything
                    self._vendors.failed(vendor, error)
                    problem = error
                    if self._vendors.have_all_refused():
                        break
                else:
                    self._vendors.worked(vendor)
                    return
            if not await script.has_words(spoken.offset_in(script)):
                return
            assert problem is not None, "there is at least one attempt"
            raise problem
        finally:
            await utils.aio.cancel_and_wait(reading)

    async def _spoken_by(
        self, vendor: Vendor[tts.TTS[Any]], script: _Script, spoken: _Spoken, wait: _Wait
    ) -> AsyncGenerator[rtc.AudioFrame, None]:
        rate = vendor.made.sample_rate
        resampler = None if rate == self._rate else rtc.AudioResampler(rate, self._rate)
        patience = wait.begin_attempt()
        voice = _streaming(vendor.made)
        if (breath := spoken.breath(self._rate)) is not None:
            yield breath
        spoken.begin(script, is_timed=voice.capabilities.aligned_transcript)
        try:
            async with voice.stream(
                conn_options=APIConnectOptions(max_retry=0, timeout=patience)
            ) as stream:
                feeding = asyncio.create_task(_feed(stream, script, spoken.offset, wait))
                try:
                    while (audio := await wait.for_next(stream)) is not None:
                        wait.sounded(audio.frame.duration, is_all_said=script.is_complete)
                        spoken.announce(audio.frame)
                        for frame in _at_rate(resampler, audio.frame):
                            yield spoken.passed(frame)
                    for frame in resampler.flush() if resampler else ():
                        yield spoken.passed(frame)
                finally:
                    await utils.aio.cancel_and_wait(feeding)
        finally:
            if voice is not vendor.made:
                await voice.aclose()
        if spoken.has_words_left:
            yield spoken.rest(self._rate)


class _Script:
    """The text to be spoken, as far as it is written; it can be read again from any place."""

    def __init__(self) -> None:
        self.text = ""
        self.is_complete = False
        self._grown = asyncio.Condition()

    async def read(self, source: AsyncIterable[str]) -> None:
        try:
            async for piece in source:
                async with self._grown:
                    self.text += piece
                    self._grown.notify_all()
        finally:
            self.is_complete = True
            async with self._grown:
                self._grown.notify_all()

    async def has_words(self, offset: int = 0) -> bool:
        """Waits until there is a word after `offset`, or no more text."""
        async with self._grown:
            await self._grown.wait_for(lambda: self.is_complete or self.text[offset:].strip() != "")
        return self.text[offset:].strip() != ""

    def _goes_on(self, offset: int) -> bool:
        return self.is_complete or len(self.text) > offset

    async def pieces(self, offset: int) -> AsyncIterator[str]:
        while True:
            async with self._grown:
                await self._grown.wait_for(partial(self._goes_on, offset))
            piece = self.text[offset:]
            offset += len(piece)
            if piece:
                yield piece
            elif self.is_complete:
                return


class _Spoken:
    """How far the script has been given out as sound, by the times of its words."""

    def __init__(self) -> None:
        self.offset = 0  # in the script: where the attempt that goes on began
        self._words = 0
        self._seconds = 0.0
        self._began_at = 0.0
        self._is_resumed = False
        self._is_to_be_marked = False
        self._started_at: float | None = None  # when the vendor got its text: for latencies
        self._waiting: deque[tuple[float, TimedString]] = (
            deque()
        )  # with the second in which it ends

    @property
    def has_words_left(self) -> bool:
        return bool(self._waiting)

    def offset_in(self, script: _Script) -> int:
        """Behind the last word that was spoken."""
        ends = [match.end() for match in _WORD.finditer(script.text)]
        return ends[min(self._words, len(ends)) - 1] if self._words and ends else 0

    def breath(self, rate: int) -> rtc.AudioFrame | None:
        """Between what broke off and what follows it; None where nothing has sounded yet. Words still due are dropped."""
        self._waiting.clear()
        return self.passed(_silence(rate, rate // 10)) if self._seconds else None

    def begin(self, script: _Script, *, is_timed: bool) -> None:
        """Another attempt: its times count from here."""
        self._began_at = self._seconds
        self._is_resumed = self._words > 0
        self._is_to_be_marked = is_timed and self._seconds == 0
        self.offset = self.offset_in(script)

    def announce(self, sent: rtc.AudioFrame) -> None:
        """Takes what the vendor put beside its sound, which may come out in other frames."""
        self._started_at = sent.userdata.get(USERDATA_TTS_STARTED_TIME, self._started_at)
        for word in sent.userdata.pop(USERDATA_TIMED_TRANSCRIPT, ()):
            self._take(word)

    def passed(self, frame: rtc.AudioFrame) -> rtc.AudioFrame:
        """The frame with the words that end in it."""
        if self._started_at is not None:
            frame.userdata[USERDATA_TTS_STARTED_TIME] = self._started_at
        self._seconds += frame.duration
        ended: list[TimedString] = []
        if self._is_to_be_marked:  # who counts words knows at the first sound that there are times
            ended.append(TimedString("", start_time=0.0, end_time=0.0))
            self._is_to_be_marked = False
        while self._waiting and self._waiting[0][0] <= self._seconds:
            ended.append(self._waiting.popleft()[1])
        return self._carrying(frame, ended)

    def rest(self, rate: int) -> rtc.AudioFrame:
        """The words whose announced end lies behind the sound, which has come to its end."""
        frame = _silence(rate, _REST_SAMPLES)
        self._seconds += frame.duration
        ended = [
            TimedString(word, start_time=self._seconds, end_time=self._seconds)
            for _, word in self._waiting
        ]
        self._waiting.clear()
        return self._carrying(frame, ended)

    def _take(self, word: TimedString) -> None:
        if not utils.is_given(word.end_time):
            return
        text = str(word)
        if self._is_resumed:
            text, self._is_resumed = f" {text.lstrip()}", False
        begins = word.start_time if utils.is_given(word.start_time) else word.end_time
        ends_at = self._began_at + word.end_time
        timed = TimedString(text, start_time=self._began_at + begins, end_time=ends_at)
        self._waiting.append((ends_at, timed))

    def _carrying(self, frame: rtc.AudioFrame, words: list[TimedString]) -> rtc.AudioFrame:
        if words:
            frame.userdata[USERDATA_TIMED_TRANSCRIPT] = words
            self._words += len("".join(words).split())
        return frame


class _Wait:
    """The wait for the next sound, whose limit moves while it goes on; over all attempts at one text."""

    def __init__(self) -> None:
        self._first_until: float | None = (
            None  # for the first sound since there is something to say, or since the last
        )
        self._until: float | None = None
        self._limit: asyncio.Timeout | None = None
        self.has_sound = False
        self._plays_until = 0.0  # were it played from its arrival on

    @property
    def is_over(self) -> bool:
        """Whether the next attempt would have no time left."""
        return self._first_until is not None and self._first_until - _now() < LEAST_SECONDS

    def begin_attempt(self) -> float:
        """The seconds for its handshake."""
        self.has_sound, self._until = False, None
        return FIRST_SOUND_SECONDS

    def sounded(self, seconds: float, *, is_all_said: bool) -> None:
        """So much sound has come. It comes faster than it is spoken: the wait ends before the callee hears a gap."""
        self.has_sound, self._first_until = True, None
        self._plays_until = max(self._plays_until, _now()) + seconds
        self._end_in(self._gap() if is_all_said else OPEN_SECONDS)

    def said(self, *, is_all_said: bool) -> None:
        """The vendor was given text that it can speak."""
        if self.has_sound:
            self._end_in(self._gap() if is_all_said else OPEN_SECONDS)
            return
        if self._first_until is None:
            self._first_until = _now() + SOUND_SECONDS
        self._end_in(min(FIRST_SOUND_SECONDS, self._first_until - _now()))

    async def for_next(self, stream: tts.SynthesizeStream) -> tts.SynthesizedAudio | None:
        """None at the end. Raises APITimeoutError."""
        try:
            async with asyncio.timeout_at(self._until) as self._limit:
                return await anext(stream)
        except StopAsyncIteration:
            return None
        except TimeoutError:
            raise APITimeoutError("no sound came in time") from None
        finally:
            self._limit = None

    def _gap(self) -> float:
        return max(GAP_SECONDS, self._plays_until - _now() - HANDOVER_SECONDS)

    def _end_in(self, seconds: float) -> None:
        self._until = _now() + seconds
        if self._limit is not None:
            self._limit.reschedule(self._until)


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _feed(stream: tts.SynthesizeStream, script: _Script, offset: int, wait: _Wait) -> None:
    given = ""
    is_waiting = False
    async for piece in script.pieces(offset):
        stream.push_text(piece)
        given += piece
        if not is_waiting and _SENTENCE.search(given):
            is_waiting = True
            wait.said(is_all_said=False)
    stream.end_input()
    wait.said(is_all_said=True)


def _streaming(made: tts.TTS[Any]) -> tts.TTS[Any]:
    if made.capabilities.streaming:
        return made
    tokenizer = tokenize.blingfire.SentenceTokenizer(retain_format=True)
    return tts.StreamAdapter(tts=made, sentence_tokenizer=tokenizer)


def _at_rate(resampler: rtc.AudioResampler | None, frame: rtc.AudioFrame) -> list[rtc.AudioFrame]:
    return [frame] if resampler is None else resampler.push(frame)


def _silence(rate: int, samples: int) -> rtc.AudioFrame:
    return rtc.AudioFrame(bytes(2 * samples), rate, 1, samples)
