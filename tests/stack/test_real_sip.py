"""Calls over real SIP: livekit-sip in place of the stand-in, sipp and baresip as the phones of the network.

They run where a `livekit-sip` is on PATH (the session says in capitals when there is none): CI can't have it, an engineer
who has built or downloaded it can. Words are read off what came out of the phone, and off the recording.
"""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import Any

import pytest
from tests.stack.sip_phones import BaresipPhone, SippReferred, SippRefuser, modem_words
from tests.stack.support.calls import SIMULATED, Caller, end_of, rule, tools_of
from tests.stack.support.checks import until
from tests.stack.support.media import MEDIA_ADDRESS
from tests.stack.support.recordings import words_of

from bolti import Conversation

pytestmark = pytest.mark.usefixtures("real_sip")

OURS = "+15550009999"
GREETING = "Hello, this is Mira of Bright Dental."
WISH = "I would like a table for two at 7 pm."
OFFER = "Seven is fine."
THANKS = "Thank you and goodbye."
FAREWELL = "Until tonight."
BOOKS = (
    rule("table", OFFER),
    rule("goodbye", FAREWELL, "cut_call"),
)
REFUSALS = [
    (486, "Busy Here", "busy"),
    (600, "Busy Everywhere", "busy"),
    (603, "Decline", "declined"),
    (607, "Unwanted", "blocked_as_spam"),
    (404, "Not Found", "invalid_number"),
    (410, "Gone", "number_changed"),
    (480, "Temporarily Unavailable", "unreachable"),
    (403, "Forbidden", "destination_forbidden"),
    (488, "Not Acceptable Here", "media_incompatible"),
    (503, "Service Unavailable", "provider_unavailable"),
    (407, "Proxy Authentication Required", "provider_authentication_failed"),
]
_ports = itertools.count(5090, 2)
_numbers = itertools.count(1)


async def trunk_to(
    caller: Caller, address: str, *agents_rules: dict[str, Any], **settings: Any
) -> tuple[str, str]:
    """(agent, number) of an agent that calls from a number of its own on a trunk to `address`."""
    llm = {"provider": "simulated", "rules": list(agents_rules), "default_reply": "I see."}
    agent = await caller.bolti.agents.create(
        name="Mira", **{**SIMULATED, "first_message": GREETING, "llm": llm, **settings}
    )
    caller._agents.append(agent.id)
    trunk = await caller.bolti.trunks.create(
        name=f"To {address}", outbound={"host": address, "transport": "udp"}
    )
    number = await caller.bolti.trunks.add_number(
        trunk.id, phone_number=f"+1555000{next(_numbers):04d}"
    )
    await caller.bolti.agent_phone_numbers.assign(
        agent.id, number_id=number.id, direction="outbound"
    )
    return agent.id, number.phone_number


async def place(caller: Caller, agent_id: str, to_number: str) -> str:
    call = await caller.bolti.agents.outbound_call(agent_id, to_number=to_number)
    assert call.simulated is False
    return call.conversation_id


@pytest.mark.parametrize(("status", "reason", "code"), REFUSALS)
async def test_a_refusal_on_the_wire_is_the_hangup_code(
    caller: Caller, tmp_path: Path, status: int, reason: str, code: str
) -> None:
    address = f"{MEDIA_ADDRESS}:{next(_ports)}"
    headers = ('Proxy-Authenticate: Digest realm="bolti", nonce="n"',) if status == 407 else ()
    agent, _ = await trunk_to(caller, address)
    with SippRefuser(
        tmp_path / "sipp", address=address, status=status, reason=reason, headers=headers
    ):
        ended = await caller.ended(await place(caller, agent, "+12125550123"))
    assert end_of(ended)[1] == code, ended.hangup
    assert ended.hangup is not None
    assert ended.hangup.sip_status == (status if status != 407 else None)
    assert ended.cost is None or ended.cost.amount_micros == 0


async def test_a_trunk_where_nobody_answers_is_told_from_a_callee_who_does_not(
    caller: Caller,
) -> None:
    agent, _ = await trunk_to(caller, f"{MEDIA_ADDRESS}:5999", limits={"ring_timeout_seconds": 5})
    ended = await caller.ended(await place(caller, agent, "+12125550124"))
    assert end_of(ended)[1] == "trunk_unreachable", ended.hangup


async def test_two_people_talk_word_for_word_over_a_real_leg(
    caller: Caller, tmp_path: Path
) -> None:
    address, number = f"{MEDIA_ADDRESS}:{next(_ports)}", "+12125550125"
    agent, _ = await trunk_to(caller, address, *BOOKS)
    says = await modem_words((7, WISH), (8, THANKS))
    with BaresipPhone(tmp_path / "phone", address=address, number=number, says=says) as phone:
        placed = await place(caller, agent, number)
        await caller.has_turns(placed, 1)
        phone.press("5")
        ended = await caller.ended(placed)
    assert end_of(ended) == ("completed", "agent_hangup"), (ended.hangup, phone.log[-2000:])
    assert phone.heard() == [GREETING, OFFER, FAREWELL]
    assert [turn.text for turn in ended.transcript if turn.role == "user" and turn.text] == [
        WISH,
        THANKS,
    ]
    assert "5" in "".join(turn.dtmf or "" for turn in ended.transcript)
    recorded = await caller.has_recording(placed)
    left, right = words_of(await caller.bolti.conversations.recording(recorded.id))
    assert left == [WISH, THANKS]
    assert right == [GREETING, OFFER, FAREWELL]


async def test_somebody_is_called_into_a_call_and_introduced_over_a_second_real_leg(
    caller: Caller, tmp_path: Path
) -> None:
    """One phone takes both calls and says the same in both, each time counted from its own answer."""
    address, number, waiter = f"{MEDIA_ADDRESS}:{next(_ports)}", "+12125550129", "+12125550130"
    introduction = "This is Ravi."
    agent, _ = await trunk_to(
        caller,
        address,
        rule("table", "", "transfer_call", target="a waiter", introduction=introduction),
        built_in_tools=["transfer_call"],
        transfer_targets=[
            {"name": "a waiter", "phone_number": waiter, "mode": "warm"},
        ],
    )
    says = await modem_words((7, WISH), (16, THANKS))
    with BaresipPhone(
        tmp_path / "phone", address=address, number=number, says=says, other_numbers=[waiter]
    ) as phone:
        placed = await place(caller, agent, number)
        await caller.is_handed_over(placed)
        await asyncio.sleep(22)
        phone.hang_up()
        call = await caller.ended(placed)
    assert end_of(call) == ("completed", "transferred"), (call.hangup, phone.log[-2000:])
    assert sorted(phone.heard()) == sorted([GREETING, introduction, WISH, introduction, THANKS])
    assert [turn.text for turn in call.transcript if turn.role == "user" and turn.text] == [WISH]
    left, right = words_of(
        await caller.bolti.conversations.recording((await caller.has_recording(placed)).id)
    )
    assert left == [WISH, THANKS]
    assert right == [GREETING, introduction, WISH], "the agent, and whom it called in"


async def _refers(caller: Caller, folder: Path, outcome: str) -> tuple[Conversation, SippReferred]:
    """What became of a cold transfer that the callee's telephone follows, to that end."""
    address = f"{MEDIA_ADDRESS}:{next(_ports)}"
    agent, _ = await trunk_to(
        caller,
        address,
        rule("table", "They are busy.", "transfer_call", target="a waiter"),
        rule("goodbye", FAREWELL, "cut_call"),
        built_in_tools=["cut_call", "transfer_call"],
        transfer_targets=[{"name": "a waiter", "phone_number": "+12125550131"}],
    )
    says = await modem_words((7, WISH), (10, THANKS))
    with SippReferred(folder, address=address, says=says, outcome=outcome) as phone:
        call = await caller.ended(await place(caller, agent, "+12125550132"))
    return call, phone


async def test_a_refer_that_somebody_takes_ends_our_part_of_the_call(
    caller: Caller, tmp_path: Path
) -> None:
    call, phone = await _refers(caller, tmp_path / "sipp", "200 OK")
    assert end_of(call) == ("completed", "transferred"), (call.hangup, tools_of(call))
    assert phone.refer_to == "tel:+12125550131"
    assert [turn.text for turn in call.transcript if turn.role == "user"] == [WISH]


async def test_a_refer_that_leads_to_somebody_busy_comes_back_to_the_agent(
    caller: Caller, tmp_path: Path
) -> None:
    call, _ = await _refers(caller, tmp_path / "sipp", "486 Busy Here")
    assert end_of(call) == ("completed", "agent_hangup"), (call.hangup, tools_of(call))
    (tool,) = [each for each in tools_of(call) if each.name == "transfer_call"]
    assert tool.is_error
    assert "busy" in str(tool.result).lower()


async def test_a_callee_that_hangs_up_is_a_remote_hangup(caller: Caller, tmp_path: Path) -> None:
    address, number = f"{MEDIA_ADDRESS}:{next(_ports)}", "+12125550126"
    agent, _ = await trunk_to(caller, address)
    says = await modem_words((60, "Never said."))
    with BaresipPhone(tmp_path / "phone", address=address, number=number, says=says) as phone:
        placed = await place(caller, agent, number)
        await caller.has_turns(placed, 1)
        phone.hang_up()
        ended = await caller.ended(placed)
    assert end_of(ended) == ("completed", "remote_hangup")


async def test_a_caller_is_answered_by_the_agent_of_the_number(
    caller: Caller, real_sip: str, tmp_path: Path
) -> None:
    agent_id, _ = await trunk_to(caller, f"{MEDIA_ADDRESS}:5999", *BOOKS)
    trunk = await caller.bolti.trunks.create(
        name="In", inbound={"allowed_addresses": [f"{MEDIA_ADDRESS}/32"]}
    )
    number = await caller.bolti.trunks.add_number(trunk.id, phone_number=OURS)
    await caller.bolti.agent_phone_numbers.assign(
        agent_id, number_id=number.id, direction="inbound"
    )

    async def is_ready() -> bool:
        return (await caller.bolti.trunks.get(trunk.id)).inbound_status == "ready"

    await until(is_ready, 30, "the SIP service knows the trunk")
    address, says = f"{MEDIA_ADDRESS}:{next(_ports)}", await modem_words((6, WISH), (5, THANKS))
    with BaresipPhone(
        tmp_path / "phone", address=address, number="+12125550127", says=says, is_answering=False
    ) as phone:
        phone.dial(f"sip:{OURS}@{real_sip}")

        came = await until(_called_in(caller, OURS), 15, "a conversation that came in")
        ended = await caller.ended(came)
    assert end_of(ended) == ("completed", "agent_hangup"), (ended.hangup, phone.log[-2000:])
    assert (ended.from_number, ended.to_number) == ("+12125550127", OURS)
    assert phone.heard() == [GREETING, OFFER, FAREWELL]
    left, right = words_of(
        await caller.bolti.conversations.recording((await caller.has_recording(came)).id)
    )
    assert (left, right) == ([WISH, THANKS], [GREETING, OFFER, FAREWELL])


async def test_a_number_without_an_agent_is_not_answered_and_recorded(
    caller: Caller, real_sip: str, tmp_path: Path
) -> None:
    trunk = await caller.bolti.trunks.create(
        name="Nobody", inbound={"allowed_addresses": [f"{MEDIA_ADDRESS}/32"]}
    )
    number = await caller.bolti.trunks.add_number(trunk.id, phone_number="+15550008888")

    async def is_ready() -> bool:
        return (await caller.bolti.trunks.get(trunk.id)).inbound_status == "ready"

    await until(is_ready, 30, "the SIP service knows the trunk")
    address, says = f"{MEDIA_ADDRESS}:{next(_ports)}", await modem_words((1, "Hello?"))
    with BaresipPhone(
        tmp_path / "phone", address=address, number="+12125550128", says=says, is_answering=False
    ) as phone:
        phone.dial(f"sip:{number.phone_number}@{real_sip}")

        told = await until(_called_in(caller, number.phone_number), 15, "a record of the refusal")
        refused = await caller.ended(told)
        await until(_logged(phone, "session closed"), 25, "the caller is told")
    assert end_of(refused) == ("rejected", "agent_inactive")
    assert "established" not in phone.log


def _called_in(caller: Caller, to_number: str) -> Any:
    async def look() -> str | None:
        async for each in caller.bolti.conversations.list(direction="inbound", limit=10):
            if each.to_number == to_number:
                return each.id
        return None

    return look


def _logged(phone: BaresipPhone, words: str) -> Any:
    async def look() -> bool:
        return words in phone.log

    return look
