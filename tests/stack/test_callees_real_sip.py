"""The numbers and scenarios of test_callees.py once more, with a real livekit-sip between agent and callee.

Where a `livekit-sip` is on PATH, as tests/stack/test_real_sip.py. Fewer calls at once: each has two legs of the SIP service.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.stack.support.calls import Caller
from tests.stack.support.stack import Stack
from tests.stack.test_callees import ENDS, ends_of, library_passes

pytestmark = pytest.mark.usefixtures("sip_exchange")

AT_ONCE = 3
# A dial of which nobody ever hears anything: the phone network can drop an answer, livekit-sip gives one.
NOT_BY_SIP = {"15"}


async def test_every_number_ends_over_real_sip_as_it_does_on_the_simulated_line(
    caller: Caller,
) -> None:
    wanted = {digits: end for digits, end in ENDS.items() if digits not in NOT_BY_SIP}
    assert await ends_of(caller, list(wanted), at_once=AT_ONCE) == wanted


async def test_the_library_of_scenarios_passes_over_real_sip(stack: Stack, tmp_path: Path) -> None:
    await library_passes(stack, tmp_path / "report.xml", at_once=AT_ONCE)
