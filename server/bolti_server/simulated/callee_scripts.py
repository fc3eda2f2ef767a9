"""What callees do that are more than a small conversation: a mailbox, a menu, people with one wish.

Rule: each comes to its end with any agent, also with one that says nothing.
"""

from __future__ import annotations

from bolti_server.simulated.conversation import small_talk
from bolti_server.simulated.phone import Phone

# A callee that waits for the agent to do something gives up after this, whatever limits the agent has.
LONGEST_WAIT_MS = 60_000
HANGS_UP_AFTER_MS = 1_200
TALKS_OVER_AFTER_MS = 1_000
INTERRUPTION = "Sorry, let me stop you there for a moment. I only have one short question."

MAILBOX_GREETING = (
    "Hello, you have reached Ravi Kumar. I can't take your call right now. "
    "Please leave your name and your number after the tone, and I will call you back."
)
MAILBOX_PAUSE_MS = 400  # between the greeting and the beep
MAILBOX_RECORDS_MS = 120_000  # then it hangs up
MAILBOX_SILENCE_MS = 5_000  # after this much of nothing it hangs up earlier

MENU = (
    "Welcome to Bright Dental. For appointments, press 1. For billing, press 2. "
    "To hear this again, press 9."
)
MENU_PATIENCE_MS = 7_000
MENU_TIMES = 3
MENU_APPOINTMENTS = "Thank you. You are through to appointments. How can I help you?"
MENU_BILLING = "Billing is closed today. Please call again tomorrow. Goodbye."
MENU_UNKNOWN = "Sorry, that is not one of the choices."
MENU_GIVES_UP = "We did not get your choice. Goodbye."

GREETING_PATIENCE_MS = 2_500
REPLY_PATIENCE_MS = 6_000
CALLBACK_WISH = "I am driving right now. Can you call me back tomorrow at ten in the morning?"
STOP_CALLING = "Please stop calling me. Take me off your list."
GOODBYE = "Thank you. Goodbye."
NOISE_LEVEL = 0.02  # a third to a quarter of the voice's loudness: 12 dB below it


async def say_nothing(_phone: Phone) -> None:
    """Ends the call at once."""


async def hang_up_in_mid_sentence(phone: Phone) -> None:
    """Hears a little over a second of the agent's voice and is gone."""
    await phone.hear_voice(HANGS_UP_AFTER_MS, patience_ms=LONGEST_WAIT_MS)


async def talk_over(phone: Phone) -> None:
    """Speaks while the agent speaks, then is as friendly as others."""
    await phone.hear_voice(TALKS_OVER_AFTER_MS, patience_ms=LONGEST_WAIT_MS)
    await phone.say(INTERRUPTION)
    await small_talk(phone)


async def stay_silent(phone: Phone) -> None:
    """Holds the line for ten minutes."""
    await phone.wait(10 * LONGEST_WAIT_MS)


async def be_a_mailbox(phone: Phone) -> None:
    """Greeting, beep, then it listens: to a message's end, or to silence, or until it is full."""
    await phone.say(MAILBOX_GREETING)
    await phone.wait(MAILBOX_PAUSE_MS)
    await phone.beep()
    listened_ms = 0
    while listened_ms < MAILBOX_RECORDS_MS:
        if await phone.wait_for_agent(patience_ms=MAILBOX_SILENCE_MS) is None:
            return
        listened_ms += MAILBOX_SILENCE_MS


async def be_a_menu(phone: Phone) -> None:
    """Asks for a key until it gets one that it knows: 1 leads to somebody who talks, 2 to a goodbye."""
    for _ in range(MENU_TIMES):
        await phone.say(MENU)
        keys = await phone.keys(patience_ms=MENU_PATIENCE_MS)
        if keys == "1":
            await phone.say(MENU_APPOINTMENTS)
            await small_talk(phone)
            return
        if keys == "2":
            await phone.say(MENU_BILLING)
            return
        if keys not in ("", "9"):
            await phone.say(MENU_UNKNOWN)
    await phone.say(MENU_GIVES_UP)


async def talk_in_noise(phone: Phone) -> None:
    """As others, from a busy street."""
    await phone.noise(NOISE_LEVEL)
    await small_talk(phone)


async def ask_for_callback(phone: Phone) -> None:
    """Has no time now, says when it will, and hangs up when that is settled."""
    await _say_one_thing(phone, CALLBACK_WISH)


async def ask_to_stop(phone: Phone) -> None:
    """Does not want to be called, says so, and hangs up."""
    await _say_one_thing(phone, STOP_CALLING)


async def _say_one_thing(phone: Phone, wish: str) -> None:
    await phone.wait_for_agent(patience_ms=GREETING_PATIENCE_MS)
    await phone.say(wish)
    if await phone.wait_for_agent(patience_ms=REPLY_PATIENCE_MS) is not None:
        await phone.say(GOODBYE)
        await phone.wait_for_agent(patience_ms=REPLY_PATIENCE_MS)
