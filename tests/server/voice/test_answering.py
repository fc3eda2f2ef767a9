"""Human or mailbox, without sound; and what is a beep, with sound that is made here."""

from __future__ import annotations

import numpy as np
import pytest

from bolti_server.simulated import callee_scripts, conversation
from bolti_server.simulated.callee_phone import tone
from bolti_server.simulated.callee_scripts import MAILBOX_GREETING
from bolti_server.simulated.modem import encode
from bolti_server.simulated.sound import FRAME_BYTES, RATE, to_pcm, to_samples
from bolti_server.simulated.voices import speak
from bolti_server.voice.answering import WINDOW_MS, MachineDetector, Verdict, score_of
from bolti_server.voice.beeps import BeepDetector

MAILBOXES = [
    MAILBOX_GREETING,
    "You've reached the voicemail of Jane Miller. Please leave a message.",
    "Your call has been forwarded to an automatic voice message system.",
    "Hi, this is Tom. I can't come to the phone right now, but leave your name and number and I'll get back to you.",
    "The person you are trying to reach is not available. Please record your message.",
    "We're sorry, we are unable to take your call. At the tone, please record your message.",
    "No one is available to take your call. Leave a message after the beep.",
    "Hey it's Mike, you know what to do. Wait for the beep.",
    "आप जिनसे बात करना चाहते हैं वे अभी उत्तर नहीं दे सकते। बीप के बाद अपना संदेश छोड़ें।",
]
PEOPLE = [
    *conversation.ENGLISH.topics,
    *conversation.HINDI.topics,
    callee_scripts.CALLBACK_WISH,
    callee_scripts.STOP_CALLING,
    callee_scripts.INTERRUPTION,
    callee_scripts.MENU,
    callee_scripts.MENU_APPOINTMENTS,
    "Hello? Yes, this is she. Who is calling, please?",
    "Sorry, he is not available at the moment. Shall I take a message?",
    "I can't talk right now, I'm in a meeting. Call me back later.",
    "Good morning, thank you for calling Bright Dental, this is Maria speaking, how may I help you today?",
    "You've reached the wrong number, there is no Tom here.",
    "Did you get my voicemail yesterday? I was away and could not call you.",
    "I'm not interested, thank you. I am away from home and I do not want to talk.",
    "I wanted to leave a message for the doctor, can you do that?",
    "Hold on, let me get a pen. Okay, the number is two zero two, five five five.",
    "मैं अभी बात नहीं कर सकता, बाद में फोन कीजिए।",
]


def spoken(detector: MachineDetector, text: str, at_ms: float = 0, ms: float = 3_000) -> float:
    """One turn of the callee; when it ended."""
    detector.voice_began(at_ms)
    detector.words(text, at_ms + ms, is_final=True)
    detector.voice_ended(at_ms + ms)
    return at_ms + ms


@pytest.mark.parametrize("greeting", MAILBOXES)
def test_the_words_of_a_mailbox_are_enough(greeting: str) -> None:
    detector = MachineDetector()
    spoken(detector, greeting)
    assert detector.verdict == "machine", score_of(greeting)


@pytest.mark.parametrize("words", PEOPLE)
def test_the_words_of_a_person_are_never_enough(words: str) -> None:
    detector = MachineDetector()
    detector.turn_ended(spoken(detector, words))
    assert detector.verdict != "machine", score_of(words)


def test_who_answers_shortly_is_a_person_whatever_follows() -> None:
    detector = MachineDetector()
    end = spoken(detector, "Hello?", ms=700)
    assert detector.turn_ended(end) == "human"
    spoken(detector, MAILBOX_GREETING, at_ms=end + 3_000)
    assert detector.verdict == "human"


def test_phrases_from_two_answers_do_not_add_up() -> None:
    detector = MachineDetector()
    end = spoken(detector, "You have reached the clinic of Doctor Rao, who is it, please?")
    assert detector.turn_ended(end) is None
    spoken(detector, "Do you want to leave a message?", at_ms=end + 4_000)
    assert detector.verdict is None


def beeped(greeting: str, ms: float, after_ms: float = 500) -> Verdict | None:
    detector = MachineDetector()
    return detector.beep(spoken(detector, greeting, ms=ms) + after_ms)


def test_a_beep_after_a_monologue_or_a_phrase_is_a_mailbox_and_alone_it_is_nothing() -> None:
    assert beeped("Hi, this is Tom and Anna, we are not at home, so you know.", 5_000) == "machine"
    assert beeped("Leave a message.", 1_000) == "machine"
    assert beeped("Hello?", 700) is None
    assert beeped("Leave a message.", 1_000, after_ms=9_000) is None
    assert MachineDetector().beep(3_000) is None


def test_after_a_while_nobody_is_a_mailbox_any_more() -> None:
    detector = MachineDetector()
    assert detector.voice_began(WINDOW_MS + 1) == "human"


def test_a_message_may_begin_after_the_beep_or_after_a_long_silence() -> None:
    detector = MachineDetector()
    end = spoken(detector, MAILBOX_GREETING)
    assert not detector.is_greeting_over(end + 500)
    detector.beep(end + 900)
    assert detector.is_greeting_over(end + 950)
    assert not MachineDetector().is_greeting_over(1_000)
    silent = MachineDetector()
    assert silent.is_greeting_over(spoken(silent, MAILBOX_GREETING) + 3_000)


def beeps_in(pcm: bytes, rate: int = RATE) -> int:
    detector = BeepDetector()
    pieces = [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm), FRAME_BYTES)]
    return sum(detector.push(piece, rate) for piece in [*pieces, bytes(4 * FRAME_BYTES)])


@pytest.mark.parametrize("hertz", [440, 850, 1_000, 1_400, 2_000])
@pytest.mark.parametrize("ms", [250, 500, 1_000])
def test_a_steady_tone_is_a_beep_also_in_noise(hertz: float, ms: int) -> None:
    sound = tone(hertz, ms)
    noise = np.random.default_rng(1).standard_normal(len(sound) // 2) * 0.02
    assert beeps_in(sound) == 1
    assert beeps_in(to_pcm(to_samples(sound) + noise)) == 1


def test_keys_ringing_and_short_clicks_are_no_beeps() -> None:
    keys = to_pcm((to_samples(tone(770, 400)) + to_samples(tone(1_336, 400))) / 2)
    ringing = to_pcm((to_samples(tone(400, 400)) + to_samples(tone(450, 400))) / 2)
    assert beeps_in(keys) == beeps_in(ringing) == beeps_in(tone(1_000, 100)) == 0


async def test_voices_are_no_beeps(models: object) -> None:
    for text in [*PEOPLE, *MAILBOXES]:
        for speaker in ("callee", "agent"):
            speech = await speak(text, speaker)
            assert beeps_in(speech) == 0, text
            assert beeps_in(encode(text, speech)) == 0, text
