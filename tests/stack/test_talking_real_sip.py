"""The talks of test_talking.py once more, with a real livekit-sip between agent and callee.

Where a `livekit-sip` is on PATH, as tests/stack/test_real_sip.py. Not among them: a telephone without sound (the phone
network can be told to be one), and cold transfers, which are REFER: livekit-sip, which is both ends here, takes none (sipp
does, in test_real_sip.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.stack import test_talking as talking
from tests.stack.support.calls import Caller, SideBySide

pytestmark = pytest.mark.usefixtures("sip_exchange")

SIDE_BY_SIDE = True
AT_ONCE = 3
NOT_BY_SIP = (talking.hears_nothing, talking.is_put_through, talking.is_not_put_through)


@pytest.fixture(scope="module")
async def played(caller: Caller, sip_exchange: None) -> AsyncIterator[SideBySide]:
    scenarios = [each for each in talking.SCENARIOS if each not in NOT_BY_SIP]
    stage = SideBySide(caller, scenarios, at_once=AT_ONCE)
    yield stage
    await stage.stop()


test_words = talking.test_the_exact_words_cross_the_room_and_are_on_the_record_and_in_the_recording
test_keys = talking.test_keys_arrive_on_both_sides
test_warm_transfer = talking.test_who_takes_a_call_over_is_introduced_and_they_talk_word_for_word
test_refused_transfer = talking.test_a_warm_transfer_that_nobody_takes_comes_back_to_the_agent
test_mailbox = talking.test_a_mailbox_gets_the_whole_message_after_its_beep
test_cap = talking.test_the_cap_is_told_from_a_hang_up
test_no_answer = talking.test_ringing_that_nobody_ends_is_no_answer_and_costs_nothing
test_cancelled = talking.test_a_call_that_is_cancelled_stops_ringing
test_last_words = talking.test_a_user_s_last_words_are_heard_before_the_hang_up
