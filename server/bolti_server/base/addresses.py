"""Which addresses a request to somebody else's URL may go to.

Rule: what is not known to be public is forbidden. IPv4 is public outside the ranges below; IPv6 is public only inside
2000::/3 and outside the exceptions below; an IPv6 form that carries an IPv4 address is as good as what it carries, and
tunnels (6to4, Teredo) are forbidden whole, because they end who knows where.

Own tables and not `ipaddress.is_global`: its answer for the same address differs between the Pythons we run on (3.11.4
and 3.13 disagree about 192.0.0.0/24 and 64:ff9b:1::/48), and a guard must not change with the interpreter. Sources: the
IANA special-purpose address registries (RFC 6890), read November 2026; metadata addresses from the clouds' own pages.
"""

from __future__ import annotations

import socket
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address


class Reach(StrEnum):
    PUBLIC = "public"
    PRIVATE = "private"  # this machine or its own network: only where the operator allows it
    FORBIDDEN = "forbidden"  # never: metadata services, link-local, multicast, reserved, tunnels


_PRIVATE_V4 = [
    IPv4Network(each)
    for each in ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
]
_FORBIDDEN_V4 = [
    IPv4Network(each)
    for each in (
        "0.0.0.0/8",  # "this network"; Linux connects 0.0.0.0 to itself
        "100.100.100.200/32",  # metadata: Alibaba
        "168.63.129.16/32",  # Azure's wire server, a public address that means the host
        "169.254.0.0/16",  # link-local, and almost every cloud's metadata
        "192.0.0.0/24",  # IETF protocol assignments; metadata: Oracle
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and 255.255.255.255
    )
]
_PUBLIC_V6 = IPv6Network("2000::/3")
_PRIVATE_V6 = [IPv6Network("::1/128"), IPv6Network("fc00::/7")]
_FORBIDDEN_V6 = [
    IPv6Network(each)
    for each in (
        "2001::/23",  # IETF protocol assignments: Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
        "fd00:ec2::/32",  # metadata and DNS: AWS
        "fd20:ce::/32",  # metadata: Google
    )
]
# An IPv4 address in the last 32 bits: mapped, and what NAT64 resolvers answer for a name that has no IPv6 address.
_CARRIES_V4 = [IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96")]
_ISATAP = 0x5EFE  # RFC 5214: …:0:5efe:a.b.c.d or …:200:5efe:a.b.c.d


def reach_of(address: Address) -> Reach:
    """Where `address` leads."""
    if isinstance(address, IPv4Address):
        return _reach_of_v4(address)
    if any(address in network for network in _CARRIES_V4):
        return _reach_of_v4(_last_32_bits(address))
    if any(address in network for network in _FORBIDDEN_V6):
        return Reach.FORBIDDEN
    if any(address in network for network in _PRIVATE_V6):
        return Reach.PRIVATE
    if address not in _PUBLIC_V6:
        return Reach.FORBIDDEN
    middle = int(address) >> 32 & 0xFFFFFFFF
    if middle & ~0x0200_0000 == _ISATAP:
        return _reach_of_v4(_last_32_bits(address))
    return Reach.PUBLIC


def parse(text: str) -> Address | None:
    """The address that `text` spells in its plain form, with or without a zone (`fe80::1%eth0`); else None."""
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None


def literal(host: str) -> Address | None:
    """The address that the host of a URL spells, in any way a resolver would read; None: it is a name.

    `0x7f000001`, `2130706433`, `0177.1` and `127.1` are all 127.0.0.1 to the C library (inet_aton).
    """
    plain = parse(host)
    if plain is not None:
        return plain
    try:
        return IPv4Address(socket.inet_aton(host.rstrip(".")))
    except (OSError, ValueError):
        return None


def _reach_of_v4(address: IPv4Address) -> Reach:
    if any(address in network for network in _FORBIDDEN_V4):
        return Reach.FORBIDDEN
    if any(address in network for network in _PRIVATE_V4):
        return Reach.PRIVATE
    return Reach.PUBLIC


def _last_32_bits(address: IPv6Address) -> IPv4Address:
    return IPv4Address(int(address) & 0xFFFFFFFF)
