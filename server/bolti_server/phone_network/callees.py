"""Who picks up: by the trunk's host where that says so, else by the request's metadata, else by the number.

Rules. A host under `.test` is a provider that misbehaves in one way (`sip-486.test` answers every call with that SIP
status, `ringing.test` rings for ever, `silent.test` never says a word); a host under `.invalid` does not resolve, as on any
machine (RFC 6761 keeps both names for this). Any other host is as good as another: nothing is sent to it. Metadata is JSON
`{"voice": "modem" | "speech", "scenario": …, "script": …}`; what is no such object is somebody else's and says nothing.
"""

from __future__ import annotations

import re
from typing import Literal

import attrs
import msgspec

from bolti_server.lines.line import DialFailed
from bolti_server.simulated.callee_scripts import say_nothing
from bolti_server.simulated.callees import Callee, callee_of
from bolti_server.simulated.scenarios.parsing import BrokenScenario
from bolti_server.worker_api.messages import LineSpec

_REFUSING_HOST = re.compile(r"sip-([4-6]\d\d)\.test")
_RINGING_HOST = "ringing.test"
_SILENT_HOST = "silent.test"


class Wishes(msgspec.Struct, frozen=True):
    """What a request's metadata may say of the callee."""

    voice: Literal["modem", "speech"] | None = None
    scenario: str | None = None
    script: str | None = None


@attrs.frozen
class Destination:
    """`callee` None: no such name (`is_resolved` False), or nobody there who says a word."""

    callee: Callee | None
    is_resolved: bool = True


def wishes_of(metadata: str) -> Wishes:
    """What it says; nothing where it is none of ours."""
    try:
        return msgspec.json.decode(metadata, type=Wishes)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return Wishes()


def destination_of(hostname: str, number: str, wishes: Wishes) -> Destination:
    """Raises ValueError for a scenario or a script that there is not."""
    host = hostname.partition(":")[0].lower().rstrip(".")
    if host.endswith(".invalid"):
        return Destination(None, is_resolved=False)
    if host == _SILENT_HOST:
        return Destination(None)
    if host == _RINGING_HOST:
        return Destination(Callee(say_nothing, ring_ms=None))
    if refusing := _REFUSING_HOST.fullmatch(host):
        status = int(refusing[1])
        return Destination(Callee(say_nothing, 0, DialFailed(f"sip_{status}", status)))
    return Destination(callee_for(number, wishes.scenario, wishes.script))


def callee_for(number: str, scenario: str | None, script: str | None) -> Callee:
    """As on the simulated line. Raises ValueError for a scenario or a script that there is not."""
    line = LineSpec(
        kind="simulated", from_number=None, to_number=number, scenario=scenario, script=script
    )
    try:
        return callee_of(line)
    except KeyError:
        raise ValueError(f"there is no scenario {scenario!r}") from None
    except BrokenScenario as error:
        raise ValueError(f"the script can't be read: {error}") from None
