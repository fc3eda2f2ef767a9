"""The scripted callee: what it says to what it hears, how its words ride on its sound, what it takes for a turn."""

from __future__ import annotations

import asyncio
from typing import NoReturn

import attrs
import numpy as np
import pytest
from tests.server.simulated.calling import line_to

from bolti_server.contract.structs import SimulationScenario
from bolti_server.simulated.callee_ear import END_OF_TURN_MS, Ear
from bolti_server.simulated.callee_mouth import Mouth
from bolti_server.simulated.callee_phone import BEEP_HZ, tone
from bolti_server.simulated.callee_scripts import MENU, MENU_BILLING, MENU_UNKNOWN
from bolti_server.simulated.callees import (
    ANSWERS,
    BUSY,
    BY_DIGITS,
    BY_SCENARIO,
    HANGS_UP,
    Callee,
    callee_of,
)
from bolti_server.simulated.conversation import ENGLISH, MOST_TURNS, small_talk
from bolti_server.simulated.phone import BEEP_MS, Phone, PhoneDown
from bolti_server.simulated.sound import (
    FRAME_BYTES,
    FRAME_MS,
    RATE,
    SILENCE,
    WORDS,
    loudness,
    to_samples,
)
from bolti_server.worker_api.messages import LineSpec

LOUD = b"\0\x20" * (FRAME_BYTES // 2)


class Scripted:
    """A phone at whose other end somebody says these things, one a turn; None where nothing is said."""

    def __init__(self, *turns: str | None) -> None:
        self.turns = list(turns)
        self.said: list[str] = []
        self.pressed: list[str] = []

    async def wait_for_agent(self, *, patience_ms: int) -> str | None:
        return self.turns.pop(0) if self.turns else None

    async def hear_voice(self, voiced_ms: int, *, patience_ms: int) -> bool:
        return True

    async def wait(self, ms: int) -> None:
        """Time flies."""

    async def say(self, text: str) -> None:
        self.said.append(text)

    async def press(self, keys: str) -> None:
        self.said.append(keys)

    async def keys(self, *, patience_ms: int) -> str:
        return self.pressed.pop(0) if self.pressed else ""

    async def noise(self, level: float, ms: int | None = None) -> None:
        """Nobody is disturbed."""

    async def beep(self, ms: int = BEEP_MS) -> None:
        self.said.append("beep")

    async def hang_up(self) -> NoReturn:
        raise PhoneDown


async def said_to(*turns: str | None) -> list[str]:
    phone = Scripted(*turns)
    await small_talk(phone)
    assert not phone.turns or phone.turns[0] is None
    return phone.said


WISH, THANKS = ENGLISH.topics


async def test_it_asks_for_an_appointment_thanks_and_says_goodbye() -> None:
    assert await said_to("Hello, how can I help?", "At ten?", "Good.") == [
        WISH,
        THANKS,
        ENGLISH.goodbye,
    ]


async def test_it_answers_what_it_is_asked() -> None:
    said = await said_to(
        "Hello.", "What is your name?", "And which day would you like?", "Anything else?", "Fine."
    )
    assert said == [
        WISH,
        "My name is Ravi Kumar.",
        "Tomorrow morning would be best for me.",
        "No, that is all.",
        THANKS,
        ENGLISH.goodbye,
    ]


async def test_it_says_goodbye_to_a_goodbye() -> None:
    assert await said_to("Hello.", "We are closed. Goodbye!") == [WISH, ENGLISH.goodbye]


async def test_it_says_hello_first_where_nobody_speaks() -> None:
    assert (await said_to(None, "Yes?"))[:2] == [ENGLISH.hello, WISH]


@pytest.mark.parametrize("reply", ["What is your name?", None, "", "bye " * 3, "x" * 5_000])
async def test_it_comes_to_an_end_with_any_agent(reply: str | None) -> None:
    said = await said_to(*[reply] * 50) if reply is None else await _forever(reply)
    assert said[-1] == ENGLISH.goodbye
    assert len(said) <= MOST_TURNS + 2


async def _forever(reply: str) -> list[str]:
    phone = Scripted(*[reply] * 20)
    await small_talk(phone)
    return phone.said


def test_a_scenario_counts_before_the_digits_and_unknown_digits_answer() -> None:
    def of(digits: str, scenario: str | None = None) -> object:
        spec = LineSpec(
            kind="simulated",
            from_number="+12025550199",
            to_number=f"+120255501{digits}",
            scenario=scenario,
        )
        return callee_of(spec)

    assert of("01") is BUSY
    assert of("42") is of("00") is ANSWERS
    assert of("01", "hangs_up") is HANGS_UP
    with pytest.raises(KeyError):
        of("00", "no_such_scenario")


def test_the_contract_names_the_callees_in_the_order_of_their_numbers() -> None:
    names = [scenario.value for scenario in SimulationScenario]
    assert list(BY_SCENARIO) == names
    assert [BY_DIGITS[f"{index:02}"] for index in range(18)] == list(BY_SCENARIO.values())
    assert names[6] == "voicemail"
    assert names[17] == "stop_calling"


@pytest.mark.parametrize("name", ["voicemail", "menu", "asks_for_callback", "stop_calling"])
async def test_each_script_ends_with_an_agent_that_says_nothing(name: str) -> None:
    phone = Scripted()
    await BY_SCENARIO[name].talk(phone)
    assert phone.said


async def test_a_menu_asks_again_and_leads_where_a_key_leads() -> None:
    phone = Scripted("Goodbye.")
    phone.pressed = ["7", "9", "2"]
    await BY_SCENARIO["menu"].talk(phone)
    assert phone.said == [MENU, MENU_UNKNOWN, MENU, MENU, MENU_BILLING]


async def test_each_word_rides_on_the_frame_in_which_its_sound_ends() -> None:
    mouth = Mouth()
    ended = mouth.say("one two three", LOUD * 13)
    frames = [mouth.next_frame() for _ in range(14)]
    riding = [frame.userdata.get(WORDS) for frame in frames]
    assert [word for words in riding if words for word in words] == ["one", "two", "three"]
    assert riding[:4] == [[], [], [], ["one"]]
    assert riding[12] == ["three"]
    assert riding[13] is None, "and silence carries nothing"
    assert ended.done()
    assert mouth.said == ["one two three"]


async def test_a_callee_that_stops_has_said_only_what_it_said() -> None:
    mouth = Mouth()
    ended, never = mouth.say("one two three", LOUD * 13), mouth.say("more", LOUD)
    for _ in range(9):
        mouth.next_frame()
    assert mouth.said == ["one two"]
    mouth.stop()
    assert ended.done()
    assert never.done()
    assert bytes(mouth.next_frame().data) == SILENCE
    assert mouth.said == ["one two"]


def test_a_short_pause_does_not_end_a_turn_and_a_long_one_does() -> None:
    ear = Ear(reads_modem=False)
    ear.hear(LOUD)
    ear.hear_words("Hello")
    pauses = END_OF_TURN_MS // FRAME_MS
    assert not any(ear.hear(SILENCE) for _ in range(pauses - 1))
    assert ear.is_turn_open
    ear.hear(LOUD)
    ear.hear_words(" there.")
    assert ear.voiced_ms == 2 * FRAME_MS
    assert [ear.hear(SILENCE) for _ in range(pauses)] == [False] * (pauses - 1) + [True]
    assert ear.turns == ["Hello there."]
    assert not ear.hear(SILENCE)
    assert ear.heard == ["Hello there."]


async def test_keys_reach_the_agent_and_the_callee() -> None:
    line, over = line_to("00"), asyncio.Event()
    pressed: list[str] = []
    asked: list[str] = []

    async def talk(phone: Phone) -> None:
        await phone.press("1w2#")
        asked.append(await phone.keys(patience_ms=5_000))
        asked.append(await phone.keys(patience_ms=100))
        with pytest.raises(ValueError, match="no key 'x'"):
            await phone.press("0x")
        await phone.hang_up()

    line._callee = Callee(talk, ring_ms=1)
    line.on_dtmf(pressed.append)
    line.on_left(lambda _: over.set())
    await line.connect()
    await line.send_dtmf("9w*")
    await line.send_dtmf("0")
    await asyncio.wait_for(over.wait(), 10)
    await line.hangup()
    assert pressed == ["1", "2", "#"]
    assert line.keys == "9*0"
    assert asked == ["9*0", ""]


async def test_noise_is_behind_words_and_silence_and_ends_in_time() -> None:
    mouth = Mouth()
    mouth.make_noise(0.05, 60)
    mouth.say("one", LOUD)
    voiced, quiet, noisy, after = (mouth.next_frame() for _ in range(4))
    assert voiced.userdata[WORDS] == ["one"]
    assert bytes(voiced.data) != LOUD
    assert WORDS not in quiet.userdata
    assert loudness(bytes(quiet.data) + bytes(noisy.data)) == pytest.approx(0.05, rel=0.5)
    assert bytes(after.data) == SILENCE


async def test_a_beep_is_a_tone_and_carries_no_words() -> None:
    mouth = Mouth()
    ended = mouth.sound(tone(BEEP_HZ, 500))
    frames = [mouth.next_frame() for _ in range(25)]
    assert ended.done()
    assert all(WORDS not in frame.userdata for frame in frames)
    assert mouth.said == []
    sound = to_samples(b"".join(bytes(frame.data) for frame in frames))
    spectrum = np.abs(np.fft.rfft(sound))
    assert np.argmax(spectrum) * RATE / len(sound) == pytest.approx(BEEP_HZ, abs=5)


async def test_a_callee_that_left_is_reported_once_also_to_who_asks_late() -> None:
    line, left = line_to("09"), list[str]()
    line.on_left(left.append)
    await line.connect()
    line._leave("remote_hangup")
    line._leave("media_lost")
    line.on_left(left.append)
    await line.hangup()
    await asyncio.sleep(0)
    assert left == ["remote_hangup"] * 2


async def test_a_callee_that_breaks_is_a_line_that_is_lost() -> None:
    async def breaks(_phone: Phone) -> None:
        raise LookupError("a bug of ours")

    line, left = line_to("09"), asyncio.Queue[str]()
    line._callee = attrs.evolve(line._callee, talk=breaks)
    line.on_left(left.put_nowait)
    await line.connect()
    async with asyncio.timeout(5):
        assert await left.get() == "media_lost"
    await line.hangup()
