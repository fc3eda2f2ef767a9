"""What can be wrong with a trunk's settings by itself; every check gives all faults at once. Pure.

Rule: a trunk that takes calls knows from whom: by address, by digest, or both. What a SIP service would take as "anyone" is
refused here.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence

from bolti_server.base.errors import Fault

# The widest network that a provider could have (Twilio's are /30, Plivo's single addresses); wider is a way to say "anyone".
WIDEST_IPV4 = 8
WIDEST_IPV6 = 19
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_HIGHEST_PORT = 65535


def host_faults(host: str) -> Iterator[Fault]:
    """Of `name`, `address` or `[address]`, with `:port` or not (the contract has seen to its form)."""
    name, port = _split(host)
    if port is not None and not 1 <= int(port) <= _HIGHEST_PORT:
        yield _fault("/outbound/host", f"There is no port {port}: 1 to {_HIGHEST_PORT}.")
    if name.startswith("["):
        try:
            ipaddress.IPv6Address(name[1:-1])
        except ValueError:
            yield _fault("/outbound/host", f"{name} is no IPv6 address.")
    elif re.fullmatch(r"[0-9.]+", name):
        try:
            ipaddress.IPv4Address(name)
        except ValueError:
            yield _fault("/outbound/host", f"{name} is no IPv4 address.")
    elif len(name) > 253 or not all(_LABEL.fullmatch(each) for each in name.split(".")):
        yield _fault(
            "/outbound/host",
            "Is a name or an address with or without :port, as sip.example.com:5070.",
        )


def normal_host(host: str) -> str:
    """Names in small letters."""
    return host.lower()


def address_faults(addresses: Sequence[str]) -> Iterator[Fault]:
    for index, address in enumerate(addresses):
        pointer = f"/inbound/allowed_addresses/{index}"
        try:
            network = ipaddress.ip_network(address, strict=False)
        except ValueError:
            yield _fault(pointer, "Is no address and no network in CIDR form, as 54.172.60.0/30.")
            continue
        widest = WIDEST_IPV4 if network.version == 4 else WIDEST_IPV6
        if network.prefixlen < widest:
            yield Fault(
                "anyone",
                f"{address} lets in anyone: /{widest} is the widest. Name your provider's own addresses.",
                pointer,
            )
        elif "/" in address and str(network) != str(ipaddress.ip_interface(address)):
            yield _fault(
                pointer,
                f"Has more bits than its prefix: write {network}, or {address.partition('/')[0]}.",
            )


def credential_faults(
    way: str, username: str | None, *, has_password: bool, is_changed: bool
) -> Iterator[Fault]:
    """`is_changed`: the stored password is not for this any more (another username, another host)."""
    if username is None and has_password:
        yield Fault("required", "A password needs a username.", f"/{way}/username")
    if username is not None and not has_password:
        detail = "A username needs a password."
        if is_changed:
            detail = "Give the password again: the stored one is for another username or host."
        yield Fault("required", detail, f"/{way}/password")


def guard_faults(addresses: Sequence[str], username: str | None) -> Iterator[Fault]:
    """Of a trunk that takes calls."""
    if not addresses and username is None:
        detail = (
            "Would take calls from anyone. Give allowed_addresses (your provider lists them), or username and password, "
            "or both."
        )
        yield Fault("required", detail, "/inbound/allowed_addresses")


def ability_faults(*, can_outbound: bool, can_inbound: bool) -> Iterator[Fault]:
    if not can_outbound and not can_inbound:
        detail = "A trunk dials or takes calls: give outbound, inbound, or both."
        yield Fault("required", detail, "/outbound")


def _split(host: str) -> tuple[str, str | None]:
    if host.startswith("["):
        name, _, rest = host.partition("]")
        return f"{name}]", rest.removeprefix(":") or None
    name, _, port = host.partition(":")
    return name, port or None


def _fault(pointer: str, detail: str) -> Fault:
    return Fault("invalid", detail, pointer)
