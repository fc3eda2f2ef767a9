"""A line by way of a room: how it is answered or not, how it ends, and that nobody is dialed twice."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import attrs
import pytest
from tests.server.support.rooms import TRUNK, FakeParticipant, FakeRoom, FakeServers, room_spec

from bolti_server.lines.line import DialFailed, Guest, GuestDial, LineNotReady, TransferFailed
from bolti_server.lines.room import RoomLine
from bolti_server.lines.room_modes import mode_of
from bolti_server.lines.room_requests import callee_request
from bolti_server.lines.room_servers import UnknownOutcome
from bolti_server.rooms.media import GUEST_IDENTITY
from bolti_server.worker_api.messages import CallSpec, SipTrunk, Takeover

LOST_REPLY = UnknownOutcome("deadline_exceeded: request timed out")
IN_MIDCALL = Takeover(answered_ms_ago=4_000, turn_count=3)
BEFORE_THE_ANSWER = Takeover(answered_ms_ago=None)


class Input:
    """The line's own end of the sound, which `attach` makes from a real room."""

    def __init__(self) -> None:
        self.is_open = False

    def open(self) -> None:
        self.is_open = True


@attrs.frozen
class Stage:
    room: FakeRoom
    servers: FakeServers
    line: RoomLine
    events: list[str]

    @property
    def is_heard(self) -> bool:
        return cast(Any, self.line)._input.is_open

    def connect(self, trunk: SipTrunk | None = TRUNK) -> asyncio.Task[None]:
        return asyncio.create_task(self.line.connect(trunk))


def stage(spec: CallSpec, room: FakeRoom | None = None) -> Stage:
    room, servers = room or FakeRoom(), FakeServers()
    joining = asyncio.get_running_loop().create_future()
    joining.set_result(True)
    line = RoomLine(cast(Any, room), servers, spec, joining)
    cast(Any, line)._input = Input()
    events: list[str] = []
    line.on_ringing(lambda: events.append("ringing"))
    line.on_left(events.append)
    line.on_dtmf(lambda key: events.append(f"key {key}"))
    return Stage(room, servers, line, events)


async def within(task: asyncio.Task[None]) -> None:
    await asyncio.wait_for(task, 5)


async def failure(task: asyncio.Task[None]) -> DialFailed:
    with pytest.raises(DialFailed) as failed:
        await within(task)
    return failed.value


async def dialed(at: Stage, trunk: SipTrunk | None = TRUNK) -> asyncio.Task[None]:
    task = at.connect(trunk)
    await asyncio.wait_for(at.servers.was_dialed.wait(), 5)
    return task


# ---- being there ----


async def test_who_was_in_the_room_before_the_agent_is_found_when_it_has_joined() -> None:
    room = FakeRoom()
    at = stage(room_spec(takeover=IN_MIDCALL), room)
    callee = FakeParticipant("callee", attributes={"sip.callStatus": "active"})
    room.remote_participants["callee"] = callee  # no event tells of who is there when one joins

    await at.line.ready()
    await within(at.connect(None))

    assert at.is_heard


async def test_an_agent_that_can_not_join_dials_nobody() -> None:
    at = stage(room_spec())
    refused = asyncio.get_running_loop().create_future()
    refused.set_result(False)
    cast(Any, at.line)._joining = refused

    with pytest.raises(LineNotReady):
        await at.line.ready()

    assert at.servers.dials == []


# ---- outbound ----


async def test_ringing_is_told_before_the_answer_and_sound_is_heard_from_the_answer_on() -> None:
    at = stage(room_spec())
    task = await dialed(at)
    at.room.joins("dialing")
    at.room.becomes("ringing")
    assert at.events == ["ringing"]
    assert not at.is_heard

    at.servers.reply(None)
    await within(task)

    assert at.is_heard
    assert len(at.servers.dials) == 1


async def test_a_callee_who_is_seen_to_talk_has_answered_though_the_reply_is_not_here_yet() -> None:
    at = stage(room_spec())
    task = await dialed(at)
    at.room.joins("dialing")
    at.room.becomes("active")

    await within(task)


async def test_a_refusal_is_the_outcome_of_the_dial() -> None:
    at = stage(room_spec())
    task = await dialed(at)
    at.servers.reply(DialFailed("busy", 486))

    failed = await failure(task)

    assert (failed.code, failed.sip_status) == ("busy", 486)


async def test_a_reply_that_is_lost_with_nobody_in_the_room_leaves_the_outcome_unknown() -> None:
    at = stage(room_spec())
    task = await dialed(at)
    at.servers.reply(LOST_REPLY)

    failed = await failure(task)

    assert failed.code == "outcome_unknown"
    assert len(at.servers.dials) == 1


async def test_a_reply_that_is_lost_while_it_rings_is_waited_out_to_the_answer() -> None:
    at = stage(room_spec(ring_timeout_seconds=30))
    task = await dialed(at)
    at.room.joins("dialing")
    at.room.becomes("ringing")
    at.servers.reply(LOST_REPLY)
    await asyncio.sleep(0)
    at.room.becomes("active")

    await within(task)

    assert len(at.servers.dials) == 1


async def test_a_reply_that_is_lost_before_a_refusal_is_told_by_how_the_callee_left() -> None:
    at = stage(room_spec(ring_timeout_seconds=30))
    task = await dialed(at)
    at.room.joins("dialing")
    at.room.becomes("ringing")
    at.servers.reply(LOST_REPLY)
    await asyncio.sleep(0)
    at.room.leaves("USER_REJECTED")

    assert (await failure(task)).code == "declined"
    assert at.events == ["ringing"], "a departure before the answer is part of the dial"


async def test_a_call_by_a_real_trunk_is_not_dialed_without_one() -> None:
    at = stage(room_spec())

    failed = await failure(at.connect(None))

    assert (failed.code, failed.is_nothing_sent) == ("trunk_misconfigured", True)
    assert at.servers.dials == []


async def test_the_request_names_trunk_limits_and_numbers() -> None:
    spec = room_spec(ring_timeout_seconds=20, max_duration_seconds=600)
    trunk = SipTrunk(
        host="sip.example.com", transport="tcp", username="u", password="p", codecs=["PCMU"]
    )
    request = callee_request("conv_1", spec, trunk)

    assert request.wait_until_answered
    assert (request.sip_call_to, request.sip_number) == ("+14155550123", "+14155550100")
    assert (request.room_name, request.participant_identity) == ("conv_1", "callee")
    assert (request.trunk.hostname, request.trunk.auth_username) == ("sip.example.com", "u")
    assert request.ringing_timeout.seconds == 20
    assert request.max_call_duration.seconds == 620, "livekit-sip counts the ringing in"
    assert [each.name for each in request.media.codecs] == ["PCMU"]
    assert request.participant_metadata == ""


async def test_nobody_is_rung_for_longer_than_the_sip_service_can() -> None:
    request = callee_request("r", room_spec(ring_timeout_seconds=120), TRUNK)

    assert request.ringing_timeout.seconds == 75


async def test_only_a_simulated_callee_is_told_its_scenario() -> None:
    at = stage(room_spec(is_simulated=True, scenario="busy"))
    await dialed(at, None)

    request = at.servers.dials[0]
    told = {"voice": "modem", "scenario": "busy", "script": None}
    assert json.loads(request.participant_metadata) == told
    await at.line.aclose()


# ---- who is there already, or comes ----


def test_how_a_call_is_connected_follows_from_its_spec() -> None:
    assert mode_of(room_spec()) == "outbound"
    assert mode_of(room_spec(direction="inbound")) == "inbound"
    assert mode_of(room_spec("browser", direction="web")) == "browser"
    assert mode_of(room_spec(takeover=IN_MIDCALL)) == "takeover"


async def test_a_caller_rings_until_the_agent_is_ready_and_subscribes() -> None:
    room = FakeRoom()
    caller = room.joins("ringing", identity="sip_+14155550123")
    at = stage(room_spec(direction="inbound"), room)
    assert not caller.track_publications["TR_1"].is_subscribed

    task = at.connect(None)
    await asyncio.sleep(0)
    assert caller.track_publications["TR_1"].is_subscribed
    room.becomes("active", "sip_+14155550123")
    await within(task)

    assert at.servers.dials == []
    assert at.events == [], "it rings from its birth"


async def test_a_caller_who_gives_up_before_the_answer_has_cancelled() -> None:
    room = FakeRoom()
    room.joins("ringing", identity="sip_+14155550123")
    at = stage(room_spec(direction="inbound"), room)
    room.leaves("CLIENT_INITIATED", "sip_+14155550123")

    assert at.events == ["caller_cancelled"]
    assert (await failure(at.connect(None))).code == "caller_cancelled"


async def test_the_callee_of_a_lost_agent_is_taken_over_without_a_dial() -> None:
    room = FakeRoom()
    room.joins("active")
    at = stage(room_spec(takeover=IN_MIDCALL), room)

    await within(at.connect(None))

    assert at.servers.dials == []
    assert at.is_heard


async def test_a_callee_who_rings_for_a_lost_agent_is_waited_for() -> None:
    room = FakeRoom()
    room.joins("ringing")
    at = stage(room_spec(takeover=BEFORE_THE_ANSWER, ring_timeout_seconds=30), room)
    task = at.connect(None)
    await asyncio.sleep(0)
    room.becomes("active")

    await within(task)

    assert at.servers.dials == []


async def test_who_is_gone_when_another_agent_comes_has_hung_up() -> None:
    at = stage(room_spec(takeover=IN_MIDCALL))

    assert (await failure(at.connect(None))).code == "remote_hangup"


async def test_who_was_never_reached_when_another_agent_comes_stays_unknown() -> None:
    at = stage(room_spec(takeover=BEFORE_THE_ANSWER))

    assert (await failure(at.connect(None))).code == "outcome_unknown"
    assert at.servers.dials == []


async def test_a_browser_that_does_not_come_has_not_answered() -> None:
    at = stage(room_spec("browser", direction="web", ring_timeout_seconds=0))

    assert (await failure(at.connect(None))).code == "no_answer"
    assert at.events == ["ringing"]


# ---- keys, transfer, hanging up ----


async def test_keys_are_sent_with_their_codes_and_heard_from_the_callee_alone() -> None:
    room = FakeRoom()
    callee = room.joins("active")
    at = stage(room_spec(takeover=IN_MIDCALL), room)
    await within(at.connect(None))

    await at.line.send_dtmf("1#D")
    room.emit("sip_dtmf_received", _key("4", callee))
    room.emit("sip_dtmf_received", _key("5", FakeRoom().joins(identity="somebody")))

    assert room.local_participant.keys == [(1, "1"), (11, "#"), (15, "D")]
    assert at.events == ["key 4"]


def _key(digit: str, participant: Any) -> Any:
    return attrs.make_class("SipDTMF", ["digit", "participant"])(digit, participant)


async def talking(**changes: Any) -> Stage:
    room = FakeRoom()
    room.joins("active")
    at = stage(room_spec(takeover=changes.pop("takeover", IN_MIDCALL), **changes), room)
    await within(at.connect(None))
    return at


async def test_a_transfer_that_is_taken_is_no_hang_up() -> None:
    at = await talking()
    at.servers.on_transfer = lambda: at.room.leaves("CLIENT_INITIATED")

    await at.line.transfer("+14155550177")

    assert at.servers.transfers == [("conv_1", "callee", "tel:+14155550177")]
    assert at.events == []


async def test_a_refused_transfer_leaves_the_call_as_it_was() -> None:
    at = await talking()
    at.servers.transfer_reply = DialFailed("busy", 486)

    with pytest.raises(TransferFailed) as failed:
        await at.line.transfer("+14155550177")

    assert (failed.value.code, failed.value.sip_status) == ("busy", 486)
    assert at.events == []


async def test_a_transfer_without_a_reply_is_judged_by_who_is_still_there() -> None:
    at = await talking()
    at.servers.transfer_reply = LOST_REPLY

    with pytest.raises(TransferFailed) as failed:
        await at.line.transfer("+14155550177")

    assert failed.value.code == "no_answer"
    at.room.leaves("CLIENT_INITIATED")
    assert at.events == ["remote_hangup"], "it goes on, and ends as any call does"


async def test_who_hangs_up_during_a_transfer_is_told_after_it() -> None:
    at = await talking()
    at.servers.transfer_reply = LOST_REPLY
    at.servers.on_transfer = lambda: at.room.leaves("CLIENT_INITIATED")

    with pytest.raises(TransferFailed) as failed:
        await at.line.transfer("+14155550177")

    assert failed.value.code == "remote_hangup"
    assert at.events == ["remote_hangup"]


# ---- calling somebody in, for a warm transfer ----

BILLING = GuestDial(to_number="+14155550177", from_number="+14155550100", trunk=TRUNK)


async def calling_in(at: Stage) -> asyncio.Task[Guest]:
    at.servers.next_dial()
    task = asyncio.create_task(at.line.bring_in(BILLING))
    await asyncio.wait_for(at.servers.was_dialed.wait(), 5)
    at.room.joins("dialing", identity=GUEST_IDENTITY)
    return task


async def test_a_guest_is_dialed_into_the_room_beside_the_callee() -> None:
    at = await talking(max_duration_seconds=60)
    task = await calling_in(at)
    (request,) = at.servers.dials
    assert (request.room_name, request.participant_identity) == ("conv_1", GUEST_IDENTITY)
    assert (request.sip_call_to, request.sip_number) == ("+14155550177", "+14155550100")
    assert (request.trunk.hostname, request.ringing_timeout.seconds) == (TRUNK.host, 25)
    # Of the 60 s 4 were talked by the agent before; livekit-sip counts the ringing too.
    assert request.max_call_duration.seconds == 56 + 25

    at.room.becomes("active", GUEST_IDENTITY)
    guest = await asyncio.wait_for(task, 5)

    assert not guest.has_left
    there = at.room.remote_participants[GUEST_IDENTITY]
    assert [each.is_subscribed for each in there.track_publications.values()] == [True]
    at.room.leaves("CLIENT_INITIATED", GUEST_IDENTITY)
    await asyncio.wait_for(guest.wait_until_left(), 5)
    assert at.events == [], "the callee is still there"


async def test_a_guest_who_does_not_take_the_call_leaves_it_as_it_was() -> None:
    at = await talking()
    task = await calling_in(at)
    at.servers.reply(DialFailed("busy", 486))

    with pytest.raises(TransferFailed) as failed:
        await asyncio.wait_for(task, 5)

    assert (failed.value.code, failed.value.sip_status) == ("busy", 486)
    assert at.events == []
    assert at.servers.closed == []


async def test_a_guest_whose_dial_is_not_understood_is_not_left_ringing() -> None:
    at = await talking()
    at.servers.next_dial()
    task = asyncio.create_task(at.line.bring_in(BILLING))
    await asyncio.wait_for(at.servers.was_dialed.wait(), 5)
    at.servers.reply(LOST_REPLY)

    with pytest.raises(TransferFailed) as failed:
        await asyncio.wait_for(task, 5)

    assert failed.value.code == "outcome_unknown"
    assert at.servers.removed == [GUEST_IDENTITY]


async def test_after_one_who_did_not_take_it_another_can_be_called_in() -> None:
    at = await talking()
    task = await calling_in(at)
    at.servers.reply(DialFailed("busy", 486))
    with pytest.raises(TransferFailed):
        await asyncio.wait_for(task, 5)
    at.room.leaves("USER_REJECTED", GUEST_IDENTITY)

    task = await calling_in(at)
    at.room.becomes("active", GUEST_IDENTITY)

    assert not (await asyncio.wait_for(task, 5)).has_left


async def test_nobody_is_called_into_a_browser_s_call() -> None:
    room = FakeRoom()
    room.browser_joins()
    at = stage(room_spec("browser", takeover=IN_MIDCALL), room)
    await within(at.connect(None))

    with pytest.raises(TransferFailed):
        await at.line.bring_in(BILLING)

    assert at.servers.dials == []


@pytest.mark.parametrize("direction", ["inbound", "outbound"])
async def test_who_was_being_called_in_is_not_taken_for_the_callee_and_is_let_go(
    direction: str,
) -> None:
    room = FakeRoom()
    room.joins("active", identity=GUEST_IDENTITY)  # its agent was lost
    caller = room.joins("active", identity="callee" if direction == "outbound" else "sip_+1415")
    at = stage(room_spec(direction=direction, takeover=IN_MIDCALL), room)

    await within(at.connect(None))

    assert at.servers.removed == [GUEST_IDENTITY]
    room.emit("sip_dtmf_received", _key("4", caller))
    room.emit("sip_dtmf_received", _key("5", room.remote_participants[GUEST_IDENTITY]))
    room.leaves("CLIENT_INITIATED", GUEST_IDENTITY)
    assert at.events == ["key 4"]


async def test_hanging_up_closes_the_room_and_leaving_does_not() -> None:
    at = await talking()
    assert await at.line.leave()
    assert at.servers.closed == []

    await at.line.hangup()
    await at.line.hangup()

    assert at.servers.closed == ["conv_1", "conv_1"]
    at.room.leaves("CLIENT_INITIATED")
    assert at.events == []


# ---- who leaves, and why ----


@pytest.mark.parametrize(
    ("reason", "changes", "code"),
    [
        ("CLIENT_INITIATED", {}, "remote_hangup"),
        ("USER_REJECTED", {}, "remote_hangup"),
        ("CLIENT_INITIATED", {"max_duration_seconds": 5}, "max_duration"),
        (
            "CLIENT_INITIATED",
            {"max_duration_seconds": 5, "is_cap_shortened": True},
            "credits_exhausted",
        ),
        ("UNKNOWN_REASON", {}, "media_lost"),
        ("SERVER_SHUTDOWN", {}, "media_lost"),
        ("CONNECTION_TIMEOUT", {}, "media_lost"),
        ("SIP_TRUNK_FAILURE", {}, "media_lost"),
    ],
)
async def test_why_the_callee_is_gone(reason: str, changes: dict[str, Any], code: str) -> None:
    at = await talking(**changes)  # since 4 s: within a second and a half of a cap of 5 s

    at.room.leaves(reason)

    assert at.events == [code]


async def test_a_connection_of_ours_that_breaks_is_told_once() -> None:
    at = await talking()

    at.room.is_left("SERVER_SHUTDOWN")
    at.room.leaves("CLIENT_INITIATED")

    assert at.events == ["media_lost"]


async def test_an_agent_whose_place_another_takes_goes_without_closing_the_room() -> None:
    at = await talking()

    at.room.is_left("DUPLICATE_IDENTITY")

    assert at.events == ["agent_lost"]
    assert at.servers.closed == []


async def test_a_room_that_somebody_closed_is_no_reason_by_itself() -> None:
    at = await talking()

    at.room.leaves("ROOM_DELETED")
    at.room.is_left("ROOM_DELETED")

    assert at.events == [], "whoever closed it says why by a command"
    await at.line.hangup()
