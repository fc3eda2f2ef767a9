"""The modem's words survive what a telephone does to sound."""

from __future__ import annotations

import io
from collections.abc import Callable

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bolti_server.simulated.modem import LEAD_SYMBOLS, SYMBOL, Decoder, encode
from bolti_server.simulated.sound import RATE, Samples, to_pcm, to_samples
from bolti_server.simulated.voices import speak

TEXTS = [
    "Hello, this is Asha from Bright Dental. How can I help you today?",
    "I would like to book a table for two at 7 pm.",
    "Yes.",
    "नमस्ते, कल दस बजे?",
]


def as_it_is(samples: Samples) -> Samples:
    return samples


def mu_law_at_8_khz(samples: Samples) -> Samples:
    narrow = samples[::2]
    squeezed = np.sign(narrow) * np.log1p(255 * np.abs(narrow)) / np.log1p(255)
    steps = np.round(squeezed * 127) / 127
    return np.repeat(np.sign(steps) * (256 ** np.abs(steps) - 1) / 255, 2)


def noise_of_20_db(samples: Samples) -> Samples:
    return samples + np.random.default_rng(1).normal(0, 0.4 / 1.414 / 10, len(samples))


def opus_at_24_kbit(samples: Samples) -> Samples:
    file = io.BytesIO()
    with av.open(file, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=48_000)
        stream.bit_rate, stream.layout = 24_000, "mono"
        frame = av.AudioFrame.from_ndarray(
            np.frombuffer(to_pcm(samples), dtype="<i2").reshape(1, -1), "s16", "mono"
        )
        frame.sample_rate = RATE
        for piece in av.AudioResampler("s16", "mono", 48_000).resample(frame):
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    file.seek(0)
    back = av.AudioResampler("s16", "mono", RATE)
    with av.open(file) as container:
        pieces = [
            piece.to_ndarray().reshape(-1)
            for decoded in container.decode(audio=0)
            for piece in back.resample(decoded)
        ]
    return np.concatenate(pieces).astype(float) / 32768


def jitter_buffer_on_a_busy_machine(samples: Samples) -> Samples:
    """Three times a second it stretches or shortens the sound by 4 to 18 ms, as WebRTC's does when packets come late."""
    chance = np.random.default_rng(1)
    pieces, at = [], 0
    while at < len(samples):
        end = at + int(chance.exponential(RATE / 3)) + RATE // 100
        pieces.append(samples[at:end])
        slip = int(chance.uniform(0.004, 0.018) * RATE)
        if chance.random() < 0.5:
            end += slip
        else:
            pieces.append(samples[max(0, end - slip) : end])
        at = end
    return np.concatenate(pieces)


def read(pcm: bytes, piece: int = 640) -> list[str]:
    decoder = Decoder()
    return [text for at in range(0, len(pcm), piece) for text in decoder.push(pcm[at : at + piece])]


@pytest.mark.parametrize(
    "channel",
    [
        as_it_is,
        mu_law_at_8_khz,
        noise_of_20_db,
        opus_at_24_kbit,
        jitter_buffer_on_a_busy_machine,
    ],
)
async def test_words_mixed_with_speech_survive_the_line(
    channel: Callable[[Samples], Samples],
) -> None:
    for speaker in ("agent", "callee"):
        for text in TEXTS:
            sound = bytes(6666) + encode(text, await speak(text, speaker)) + bytes(RATE)
            assert read(to_pcm(channel(to_samples(sound)))) == [text]


@given(st.text(max_size=30), st.integers(100, 3000), st.integers(0, 3 * SYMBOL))
@settings(deadline=None, max_examples=40)
def test_any_text_is_read_in_whatever_pieces_and_wherever_it_begins(
    text: str, piece: int, offset: int
) -> None:
    text = text.encode("utf-8", "ignore").decode()
    sound = bytes(2 * offset) + encode(text) + encode("and more") + bytes(RATE)
    assert read(sound, 2 * piece) == [text, "and more"]


@given(st.integers(0, 26 * 2 * SYMBOL))
@settings(deadline=None, max_examples=40)
def test_a_sender_that_stops_for_400_ms_and_goes_on_costs_nothing(at: int) -> None:
    sound = encode("Hello there, this is Asha.")
    assert read(sound[: 2 * at] + bytes(2 * RATE * 4 // 10) + sound[2 * at :] + bytes(RATE)) == [
        "Hello there, this is Asha."
    ]


def test_what_shines_up_where_the_sound_stops_within_the_sync_is_no_word() -> None:
    sound = encode("Hello there, this is Asha.")
    shine = 0.1 * np.sin(2 * np.pi * 450 * np.arange(RATE * 3 // 200) / RATE)
    at = 2 * SYMBOL * (LEAD_SYMBOLS - 1)
    stopped = sound[:at] + to_pcm(shine) + bytes(RATE // 10) + sound[at:]
    assert read(stopped + bytes(RATE)) == ["Hello there, this is Asha."]


def test_a_beginning_that_is_swallowed_costs_nothing() -> None:
    sound = encode("Hello there, this is Asha.")
    for ms in range(0, 110, 10):
        assert read(sound[2 * RATE * ms // 1000 :] + bytes(RATE)) == ["Hello there, this is Asha."]


def test_a_hole_in_the_sound_costs_the_letters_in_it_and_no_others() -> None:
    sound = encode("Hello there, this is Asha.")
    hole = 2 * SYMBOL * (LEAD_SYMBOLS + 2 * 12) + SYMBOL  # in the middle of a half of a letter
    [text] = read(sound[:hole] + bytes(RATE // 10) + sound[hole + RATE // 5 :] + bytes(RATE))
    assert text.startswith("Hello there,")
    assert text.endswith("is is Asha.")


def test_a_packet_that_breaks_off_gives_the_words_up_to_there() -> None:
    sound = encode("Hello there, this is Asha.")
    decoder = Decoder()
    half = 2 * SYMBOL * (LEAD_SYMBOLS + 2 * 12)
    assert decoder.push(sound[:half]) == []
    assert decoder.partial == "Hello there,"
    assert decoder.push(bytes(RATE)) == ["Hello there,"]
    assert decoder.partial == ""


async def test_speech_alone_and_silence_hold_no_words() -> None:
    assert read(bytes(2 * RATE) + await speak(TEXTS[0], "agent") + bytes(2 * RATE)) == []
