"""The simulated models by themselves: what they send, when, and what they say that it cost."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from livekit.agents import function_tool, llm, stt, tts
from livekit.agents.metrics import TTSMetrics
from livekit.agents.types import USERDATA_TIMED_TRANSCRIPT
from tests.server.simulated.calling import OFFER, RULES, line_to

from bolti_server.simulated.models import build_llm, build_stt, build_tts
from bolti_server.simulated.modem import Decoder, encode
from bolti_server.simulated.sound import FRAME_BYTES, FRAME_MS, RATE, SILENCE, frame_of, loudness
from bolti_server.worker_api.messages import LlmRule, LlmSpec, SttSpec, TtsSpec


async def spoken(spec: TtsSpec, *pieces: str) -> tuple[bytes, list[Any], list[TTSMetrics], float]:
    """(sound, timed words, metrics, seconds to the first sound)"""
    voice, metrics = build_tts(spec), list[TTSMetrics]()
    voice.on("metrics_collected", metrics.append)
    started, first, sound, words = time.monotonic(), 0.0, bytearray(), list[Any]()
    async with voice.stream() as stream:
        for piece in pieces:
            stream.push_text(piece)
        stream.end_input()
        async for audio in stream:
            first = first or time.monotonic() - started
            sound += bytes(audio.frame.data)
            words += audio.frame.userdata.get(USERDATA_TIMED_TRANSCRIPT, [])
    return bytes(sound), words, metrics, first


async def test_the_voice_speaks_what_it_is_given_in_pieces_and_counts_the_characters() -> None:
    pieces = ["Hello, this ", "is Asha. How", " can I help you?"]
    sound, words, (metrics,), _ = await spoken(TtsSpec(provider="simulated"), *pieces)
    assert loudness(sound) > 0.03
    assert "".join(words) == "".join(pieces)
    ends = [word.end_time for word in words]
    assert ends == sorted(ends)
    assert ends[-1] == pytest.approx(len(sound) / 2 / RATE, abs=0.05)
    assert metrics.characters_count == len("".join(pieces))
    assert metrics.metadata is not None
    assert (metrics.metadata.model_provider, metrics.metadata.model_name) == (
        "simulated",
        "simulated",
    )


async def test_the_modem_voice_carries_the_words_and_knows_where_each_ends() -> None:
    text = "Yes, tomorrow is fine. Come at ten."
    sound, words, _, _ = await spoken(TtsSpec(provider="simulated", voice="modem"), text)
    decoder = Decoder()
    assert " ".join(decoder.push(sound + bytes(RATE))) == text
    for position in range(len(words)):
        decoder, end = Decoder(), 2 * int(words[position].end_time * RATE)
        read = [*decoder.push(sound[:end]), decoder.partial]
        assert " ".join(part for part in read if part) == "".join(words[: position + 1])


async def test_a_text_of_signs_only_is_a_pause_and_no_failure() -> None:
    sound, _, _, _ = await spoken(TtsSpec(provider="simulated"), "...")
    assert loudness(sound) < 0.001
    assert sound


async def test_the_first_sound_waits_as_long_as_it_is_told() -> None:
    spec = TtsSpec(provider="simulated", first_audio_delay_ms=200)
    _, _, (metrics,), first = await spoken(spec, "Hello. And this is the second sentence.")
    assert first >= 0.2
    assert metrics.ttfb >= 0.2


async def test_speed_and_tones_are_heard() -> None:
    text = "This is a sentence of some length."
    normal, _, _, _ = await spoken(TtsSpec(provider="simulated"), text)
    fast, _, _, _ = await spoken(TtsSpec(provider="simulated", speed=2.0), text)
    tones, _, _, _ = await spoken(TtsSpec(provider="simulated", voice="tone"), text)
    assert len(fast) < 0.7 * len(normal)
    assert loudness(tones) > 0.03
    assert tones != normal


async def recognized(model: stt.STT[Any], *frames: Any) -> list[tuple[str, str, int]]:
    """(type, text, frames pushed before it came) of everything but usage."""
    found: list[tuple[str, str, int]] = []
    async with model.stream() as stream:

        async def listen() -> None:
            async for event in stream:
                if event.type == stt.SpeechEventType.RECOGNITION_USAGE:
                    continue
                found.append((event.type.value, event.alternatives[0].text, pushed))

        listening, pushed = asyncio.create_task(listen()), 0
        for frame in frames:
            stream.push_frame(frame)
            pushed += 1  # noqa: SIM113 (the listener reads it)
            for _ in range(10):
                await asyncio.sleep(0)
        stream.end_input()
        await listening
    return found


async def test_words_beside_the_audio_come_as_they_are_said_and_final_after_the_last() -> None:
    model = build_stt(SttSpec(provider="simulated"), line_to("00"))
    quiet = frame_of(SILENCE)
    said = [frame_of(SILENCE, words) for words in ([], ["one"], [], ["two", "three"])]
    assert await recognized(model, quiet, *said, quiet, quiet) == [
        ("interim_transcript", "one", 3),
        ("interim_transcript", "one two three", 5),
        ("final_transcript", "one two three", 6),
    ]


async def test_the_final_words_wait_as_long_as_they_are_told() -> None:
    model = build_stt(SttSpec(provider="simulated", final_delay_ms=3 * FRAME_MS), line_to("00"))
    frames = [frame_of(SILENCE, ["one"]), *[frame_of(SILENCE)] * 6]
    assert (await recognized(model, *frames))[-1] == ("final_transcript", "one", 5)


async def test_on_a_line_with_the_modem_the_words_are_read_off_the_audio() -> None:
    model = build_stt(SttSpec(provider="simulated"), line_to("00", voice="modem"))
    sound = encode("Good morning.") + bytes(RATE)
    frames = [
        frame_of(sound[at : at + FRAME_BYTES], ["lies"])
        for at in range(0, len(sound) - FRAME_BYTES, FRAME_BYTES)
    ]
    found = await recognized(model, *frames)
    assert found[0][:2] == ("interim_transcript", "Good")
    assert found[-1][:2] == ("final_transcript", "Good morning.")


async def test_heard_seconds_are_counted() -> None:
    model, seconds = build_stt(SttSpec(provider="simulated"), line_to("00")), list[float]()
    model.on("metrics_collected", lambda metrics: seconds.append(metrics.audio_duration))
    await recognized(model, *[frame_of(SILENCE)] * 300)
    assert seconds == pytest.approx([5.0, 1.0])


@function_tool
async def check_availability(day: str) -> str:
    """Says which hours of a day are free."""
    return day


async def answered(spec: LlmSpec, chat: llm.ChatContext) -> llm.CollectedResponse:
    return await build_llm(spec).chat(chat_ctx=chat, tools=[check_availability]).collect()


async def test_the_language_model_calls_the_tool_and_goes_on_after_its_result() -> None:
    spec, chat = LlmSpec(provider="simulated", rules=RULES), llm.ChatContext.empty()
    chat.add_message(role="user", content="Can I book for tomorrow?")
    first = await answered(spec, chat)
    (call,) = first.tool_calls
    assert (call.name, call.arguments, first.text) == (
        "check_availability",
        '{"day":"tomorrow"}',
        "",
    )
    chat.insert(llm.FunctionCall(call_id=call.call_id, name=call.name, arguments=call.arguments))
    chat.insert(
        llm.FunctionCallOutput(call_id=call.call_id, name=call.name, output="10", is_error=False)
    )
    second = await answered(spec, chat)
    assert (second.text, second.tool_calls) == (OFFER, [])
    chat.add_message(role="assistant", content=OFFER)
    chat.add_message(role="user", content="Hm.")
    assert (await answered(spec, chat)).text == "I see."


async def test_the_language_model_streams_words_reports_tokens_and_lets_wait() -> None:
    rule = LlmRule(hear="hello", say="Good morning to you.")
    spec = LlmSpec(provider="simulated", rules=[rule], first_token_delay_ms=100)
    chat = llm.ChatContext.empty()
    chat.add_message(role="user", content="Hello.")
    started, chunks = time.monotonic(), list[llm.ChatChunk]()
    async with build_llm(spec).chat(chat_ctx=chat) as stream:
        async for chunk in stream:
            assert time.monotonic() - started >= 0.1
            chunks.append(chunk)
    words = [chunk.delta.content for chunk in chunks if chunk.delta is not None]
    assert words == ["Good", " morning", " to", " you."]
    usage = chunks[-1].usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (2, 5, 7)


async def test_they_are_named_by_our_own_provider() -> None:
    models: list[Any] = [
        build_stt(SttSpec(provider="simulated"), line_to("00")),
        build_llm(LlmSpec(provider="simulated")),
        build_tts(TtsSpec(provider="simulated")),
    ]
    assert {(model.provider, model.model) for model in models} == {("simulated", "simulated")}
    assert isinstance(models[2], tts.TTS)
