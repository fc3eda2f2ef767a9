"""What the phone network is asked for that LiveKit's SIP service is not: incoming calls, bad luck on order, its records."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from bolti_server.phone_network.behaviour import MOST_WAITING, Behaviour, Order
from bolti_server.phone_network.calling import CallRequest, call_in
from bolti_server.phone_network.network import Network
from bolti_server.phone_network.twirp import TwirpError

Desk = Callable[[Network, bytes], Awaitable[object]]


class BehaviourRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What happens to the next request, `times` in a row; `number`: only to those that dial it."""

    next: Behaviour
    number: str | None = None
    times: int = 1


async def _call(network: Network, body: bytes) -> object:
    request = msgspec.json.decode(body, type=CallRequest)
    try:
        return await call_in(network, request)
    except ValueError as error:
        raise TwirpError("invalid_argument", str(error)) from None


async def _list_calls(network: Network, _body: bytes) -> object:
    return list(network.calls)


async def _list_dials(network: Network, _body: bytes) -> object:
    return list(network.dials)


async def _misbehave(network: Network, body: bytes) -> object:
    wanted = msgspec.json.decode(body, type=BehaviourRequest)
    if not 1 <= wanted.times <= MOST_WAITING:
        raise TwirpError("invalid_argument", f"times is between 1 and {MOST_WAITING}")
    network.behaviours.add(Order(wanted.next, wanted.number), wanted.times)
    return network.behaviours.waiting


async def _behave_well(network: Network, _body: bytes) -> object:
    network.behaviours.clear()
    return network.behaviours.waiting


DESKS: Mapping[tuple[str, str], Desk] = {
    ("POST", "/calls"): _call,
    ("GET", "/calls"): _list_calls,
    ("GET", "/dials"): _list_dials,
    ("POST", "/behaviour"): _misbehave,
    ("DELETE", "/behaviour"): _behave_well,
}
