"""The chains of ears, minds and voices under faults that a test can place to the word. Limits are the real ones, in real
seconds: what takes long is tried side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from livekit import rtc
from livekit.agents import APIConnectionError, APIError, APIStatusError, llm, stt
from livekit.agents.types import USERDATA_TIMED_TRANSCRIPT
from livekit.agents.utils import http_context
from tests.server.support.scripted_models import (
    COUNTED,
    HANG,
    RATE,
    WORD_SECONDS,
    Heard,
    LlmStep,
    ScriptedLLM,
    ScriptedSTT,
    ScriptedTTS,
    Spoken,
)

from bolti_server.voice import llm_chain, stt_chain, tts_chain
from bolti_server.voice.fallback import PAUSES_SECONDS, Component, Vendor, Vendors
from bolti_server.voice.llm_chain import LlmChain
from bolti_server.voice.stt_chain import SttChain
from bolti_server.voice.tts_chain import TtsChain

BROKEN = APIConnectionError("it broke")
REFUSED = APIStatusError("wrong key", status_code=401)
SLACK_SECONDS = 1.0  # that a busy machine may add


def order(component: Component, *made: Any) -> Vendors[Any]:
    return Vendors(component, [Vendor(str(index), "m", each) for index, each in enumerate(made)])


def now() -> float:
    return asyncio.get_running_loop().time()


# ---- The mind ----


async def answer(*made: llm.LLM[Any]) -> str:
    chunks = LlmChain(order("llm", *made)).answer(llm.ChatContext.empty(), [])
    return "".join([chunk.delta.content or "" async for chunk in chunks if chunk.delta])


async def failing(*made: llm.LLM[Any]) -> float:
    """The seconds until it gives up."""
    began = now()
    with pytest.raises(Exception, match=r"token|broke"):
        await answer(*made)
    return now() - began


def mind(*steps: LlmStep) -> ScriptedLLM:
    return ScriptedLLM(steps)


async def test_an_answer_that_breaks_is_begun_anew_by_the_next_after_one_space() -> None:
    assert await answer(mind("It", " is", BROKEN), mind("It", " is", " ten.")) == "It is It is ten."


async def test_half_an_answer_is_not_asked_for_again_of_who_is_alone() -> None:
    only = mind("It", BROKEN)
    await failing(only)
    assert only.asked == 1


async def test_who_is_alone_gets_a_moment_before_each_further_attempt() -> None:
    began = now()
    only = ScriptedLLM([BROKEN], [BROKEN], ["Yes."])
    assert await answer(only) == "Yes."
    assert now() - began >= sum(PAUSES_SECONDS)


async def test_a_vendor_is_left_in_time_for_the_next_and_all_of_them_in_time_for_the_callee() -> (
    None
):
    began = now()
    to_next, alone, both, in_mid, empty = await asyncio.gather(
        answer(mind(HANG), mind("Yes.")),
        failing(mind(HANG)),
        failing(mind(HANG), mind(HANG)),
        answer(mind("It", HANG), mind("is", " ten.")),
        failing(mind(*[b""] * 60)),
    )
    assert to_next == "Yes."
    assert in_mid == "It is ten."
    for seconds in (alone, both, empty):
        assert abs(seconds - llm_chain.ANSWER_SECONDS) <= SLACK_SECONDS
    assert now() - began <= llm_chain.TOKEN_SECONDS + llm_chain.ANEW_SECONDS + SLACK_SECONDS


async def test_a_late_break_leaves_the_next_its_time_to_begin() -> None:
    slow = mind("One", b"", b"", b"", b"", b"", b"", b"", b"", BROKEN)  # 1.6 s
    later = mind(b"", b"", b"", b"", b"", b"", b"", b"", "two.")
    assert await answer(slow, later) == "One two."


async def test_an_answer_without_words_is_one_where_it_was_counted() -> None:
    assert await answer(mind(COUNTED)) == ""
    with pytest.raises(APIError, match="before it began"):
        await answer(mind())


async def test_who_has_failed_is_asked_last_and_who_works_again_in_its_turn() -> None:
    vendors = order("llm", ScriptedLLM([BROKEN], ["One."]), mind("Two."))
    chain = LlmChain(vendors)

    async def asked() -> str:
        chunks = chain.answer(llm.ChatContext.empty(), [])
        return "".join([chunk.delta.content or "" async for chunk in chunks if chunk.delta])

    assert [await asked(), await asked()] == ["Two.", "Two."]
    vendors.failed(vendors.all[1], REFUSED)
    assert await asked() == "One."
    assert vendors.first is vendors.all[0]


# ---- The voice ----


async def spoken(
    *made: ScriptedTTS, text: Any = "one two three four.", pause_seconds: float = 0.0
) -> list[rtc.AudioFrame]:
    async def written() -> AsyncIterator[str]:
        for piece in [text] if isinstance(text, str) else text:
            yield piece
            await asyncio.sleep(pause_seconds)

    async with http_context.open():
        return [frame async for frame in TtsChain(order("tts", *made)).frames(written())]


def words_of(frames: list[rtc.AudioFrame]) -> list[str]:
    """As they come; none may come before its sound."""
    seconds, words = 0.0, list[str]()
    for frame in frames:
        seconds += frame.duration
        for word in frame.userdata.get(USERDATA_TIMED_TRANSCRIPT, ()):
            assert word.end_time <= seconds + 1e-6, (word, seconds)
            words += str(word).split()
    return words


def seconds_of(frames: list[rtc.AudioFrame]) -> float:
    return sum(frame.duration for frame in frames)


FOUR = ["one", "two", "three", "four."]


@pytest.mark.parametrize("announced", [0, 1])
@pytest.mark.parametrize("then", [BROKEN, HANG])
async def test_the_next_voice_goes_on_at_the_first_word_that_was_not_spoken(
    announced: int, then: Exception | None
) -> None:
    first, second = ScriptedTTS(Spoken(2, announced, then)), ScriptedTTS(Spoken())
    frames = await spoken(first, second)
    assert words_of(frames) == FOUR
    assert [text.split() for text in second.texts] == [["three", "four."]]
    told = [
        str(word) for frame in frames for word in frame.userdata.get(USERDATA_TIMED_TRANSCRIPT, ())
    ]
    assert "".join(told).split() == FOUR, "words that are said one after another do not stick"
    assert seconds_of(frames) == pytest.approx(4 * WORD_SECONDS + 0.1, abs=0.02)  # and a breath


async def test_words_that_are_said_to_end_behind_the_sound_are_not_lost() -> None:
    frames = await spoken(ScriptedTTS(Spoken(late_seconds=0.15)))
    assert words_of(frames) == FOUR


async def test_a_voice_that_breaks_when_all_is_said_has_not_failed() -> None:
    assert words_of(await spoken(ScriptedTTS(Spoken(4, 0, BROKEN)))) == FOUR


async def test_without_words_nobody_is_asked() -> None:
    voice = ScriptedTTS(Spoken())
    assert await spoken(voice, text=["  ", "\n"]) == []
    assert voice.texts == []


async def test_a_voice_that_refuses_us_is_asked_once_and_one_that_breaks_three_times() -> None:
    refusing, breaking = ScriptedTTS(Spoken(0, 0, REFUSED)), ScriptedTTS(Spoken(0, 0, BROKEN))
    with pytest.raises(APIStatusError):
        await spoken(refusing)
    began = now()
    with pytest.raises(APIConnectionError):
        await spoken(breaking)
    assert (len(refusing.texts), len(breaking.texts)) == (1, 3)
    assert now() - began >= sum(PAUSES_SECONDS)


async def test_no_voice_is_waited_for_longer_than_a_callee_waits() -> None:
    async def gives_up(*made: ScriptedTTS) -> float:
        began = now()
        with pytest.raises(APIError):
            await spoken(*made)
        return now() - began

    silent = Spoken(0, 0, HANG)
    for seconds in await asyncio.gather(
        gives_up(ScriptedTTS(silent)), gives_up(ScriptedTTS(silent), ScriptedTTS(silent))
    ):
        assert abs(seconds - tts_chain.SOUND_SECONDS) <= SLACK_SECONDS


async def test_a_voice_may_pause_while_the_model_writes_and_while_its_sound_is_played() -> None:
    writing = ["One two three. ", "Four five six. "]
    long = " ".join(["word"] * 15) + "."  # three seconds
    slow, (first, second) = await asyncio.gather(
        spoken(ScriptedTTS(Spoken()), text=writing, pause_seconds=1.5), _waited_for(long)
    )
    assert words_of(slow) == "".join(writing).split()
    assert second.texts, "the first is given up in the end"
    assert first >= 15 * WORD_SECONDS - tts_chain.HANDOVER_SECONDS - 0.3


async def _waited_for(text: str) -> tuple[float, ScriptedTTS]:
    """How long a voice that hangs after most of `text` is waited for."""
    began, second = now(), ScriptedTTS(Spoken())
    await spoken(ScriptedTTS(Spoken(14, 0, HANG)), second, text=text)
    return now() - began, second


async def test_a_voice_that_failed_is_asked_after_the_other_from_then_on() -> None:
    first, second = ScriptedTTS(Spoken(0, 0, BROKEN), Spoken()), ScriptedTTS(Spoken())
    chain = TtsChain(order("tts", first, second))

    async def written() -> AsyncIterator[str]:
        yield "one."

    async with http_context.open():
        for _ in range(2):
            assert words_of([frame async for frame in chain.frames(written())]) == ["one."]
    assert (len(first.texts), len(second.texts)) == (1, 2)


# ---- The ear ----

PIECE = rtc.AudioFrame(bytes(2 * RATE // 10), RATE, 1, RATE // 10)


class Listening:
    """Gives sound to a chain and keeps what comes out."""

    def __init__(self, *made: ScriptedSTT) -> None:
        self.vendors = order("stt", *made)
        self.chain = SttChain(self.vendors)
        self.events: list[stt.SpeechEvent] = []
        self._stream = self.chain.stream()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for event in self._stream:
            self.events.append(event)

    @property
    def words(self) -> list[str]:
        return [event.alternatives[0].text for event in self.events if event.alternatives]

    async def hear(self, pieces: int) -> None:
        for _ in range(pieces):
            self._stream.push_frame(PIECE)
        await self._settle()

    async def elsewhere(self) -> None:
        self.chain.listen_elsewhere()
        await self._settle()

    async def end(self) -> None:
        """Raises what it ended with."""
        with suppress(RuntimeError):  # it has ended itself
            self._stream.end_input()
        async with asyncio.timeout(5):
            await self._reading

    async def _settle(self) -> None:
        await asyncio.sleep(0.05)  # a dozen tasks pass it on


async def test_the_next_ear_hears_what_was_said_since_the_last_words() -> None:
    first = ScriptedSTT(Heard(3, "Hello."))
    second = ScriptedSTT(Heard(4, "Who is it?"))
    listening = Listening(first, second)
    await listening.hear(3)
    await listening.hear(2)
    await listening.elsewhere()
    await listening.hear(2)
    assert len(second.taken[0]) == 4
    await listening.end()
    assert listening.words == ["Hello.", "Who is it?"]
    assert not any(
        event.type == stt.SpeechEventType.RECOGNITION_USAGE for event in listening.events
    )


@pytest.mark.parametrize("then", [BROKEN, True])
async def test_an_ear_that_breaks_or_ends_is_followed_and_nothing_is_lost(
    then: Exception | bool,
) -> None:
    first, second = ScriptedSTT(Heard(3, "", then)), ScriptedSTT(Heard(5, "All of it."))
    listening = Listening(first, second)
    await listening.hear(3)
    await listening.hear(2)
    await listening.end()
    assert listening.words == ["All of it."]
    assert listening.vendors.first is listening.vendors.all[1]


async def test_no_more_is_heard_again_than_a_turn_is_long() -> None:
    second = ScriptedSTT(Heard(1, "Late."))
    listening = Listening(ScriptedSTT(Heard(999)), second)
    await listening.hear(200)
    await listening.elsewhere()
    await listening.end()
    assert len(second.taken[0]) == stt_chain.MEMORY_SECONDS * 10


async def test_who_was_deaf_is_set_aside_where_the_next_heard_words() -> None:
    deaf, hearing = ScriptedSTT(Heard(999)), ScriptedSTT(Heard(2, "Yes."))
    listening = Listening(deaf, hearing)
    await listening.hear(2)
    await listening.elsewhere()
    assert listening.words == ["Yes."]
    assert listening.vendors.first is listening.vendors.all[1]
    await listening.end()


async def test_who_heard_nothing_where_nothing_was_said_is_forgiven() -> None:
    quiet, also_quiet = ScriptedSTT(Heard(999)), ScriptedSTT(Heard(6, "Yes."))
    listening = Listening(quiet, also_quiet)
    await listening.hear(2)
    await listening.elsewhere()
    listening.chain.forgive()
    await listening.hear(4)
    assert listening.words == ["Yes."]
    assert listening.vendors.first is listening.vendors.all[0]
    await listening.end()


async def test_an_ear_that_is_alone_is_connected_anew() -> None:
    only = ScriptedSTT(Heard(999), Heard(2, "Yes."))
    listening = Listening(only)
    await listening.hear(2)
    await listening.elsewhere()
    assert listening.words == ["Yes."]
    assert len(only.taken) == 2
    assert listening.vendors.first is listening.vendors.all[0]
    assert not listening.vendors._aside_until, "it was the connection, not the vendor"
    await listening.end()


async def test_when_all_ears_have_failed_the_last_one_s_reason_is_told() -> None:
    first, second = ScriptedSTT(Heard(1, "", BROKEN)), ScriptedSTT(Heard(1, "", REFUSED))
    listening = Listening(first, second)
    await listening.hear(2)
    with pytest.raises(APIStatusError, match="wrong key"):
        await listening.end()
    assert (len(first.taken), len(second.taken)) == (1, 1)
