"""Where an address leads, for every form that an address has."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

import pytest

from bolti_server.base.addresses import Reach, literal, reach_of

PRIVATE_V4 = ["127.0.0.1", "127.255.255.254", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255",
              "192.168.0.1", "192.168.255.255", "100.64.0.1", "100.127.255.255"]  # fmt: skip
FORBIDDEN_V4 = ["0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.170.2", "169.254.0.1", "168.63.129.16",
                "100.100.100.200", "192.0.0.192", "192.0.0.8", "192.0.2.1", "192.88.99.1", "198.18.0.1",
                "198.19.255.255", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1",
                "255.255.255.255"]  # fmt: skip
PUBLIC_V4 = ["1.1.1.1", "8.8.8.8", "11.0.0.1", "126.255.255.255", "128.0.0.1", "172.15.255.255", "172.32.0.1",
             "192.167.255.255", "192.169.0.1", "100.63.255.255", "100.128.0.1", "169.253.255.255", "223.255.255.255",
             "192.0.1.1", "198.17.255.255", "198.20.0.1", "168.63.129.17"]  # fmt: skip
PUBLIC_V6 = [
    "2606:4700:4700::1111",
    "2a00:1450:4001:80e::200e",
    "2001:200::1",
    "2620:fe::fe",
    "2003::1",
    "3ffe::1",
]
PRIVATE_V6 = ["::1", "fc00::1", "fd12:3456::1", "fdff::1"]
FORBIDDEN_V6 = ["::", "fe80::1", "febf::1", "fec0::1", "ff02::1", "ff0e::1", "fd00:ec2::254", "fd20:ce::254",
                "100::1", "2001:db8::1", "3fff::1", "64:ff9b:1::1", "5f00::1", "2001::1", "2001:10::1", "2001:2::1",
                "2001:1ff::1", "2002::1", "4000::1", "::2", "::ffff:0:1.1.1.1"]  # fmt: skip


def carried(v4: str) -> Iterator[tuple[str, str]]:
    """Each IPv6 form that carries this IPv4 address, with its name."""
    number = int(ipaddress.IPv4Address(v4))
    high, low = number >> 16, number & 0xFFFF
    yield "mapped", f"::ffff:{v4}"
    yield "mapped in hex", f"::ffff:{high:x}:{low:x}"
    yield "NAT64", f"64:ff9b::{high:x}:{low:x}"
    yield "ISATAP", f"2620:fe::5efe:{high:x}:{low:x}"
    yield "ISATAP, global", f"2620:fe::200:5efe:{high:x}:{low:x}"


def tunnelled(v4: str) -> Iterator[tuple[str, str]]:
    number = int(ipaddress.IPv4Address(v4))
    high, low = number >> 16, number & 0xFFFF
    yield "compatible", f"::{high:x}:{low:x}"
    yield "6to4", f"2002:{high:x}:{low:x}::1"
    yield "Teredo client", f"2001:0:4136:e378:8000:63bf:{high ^ 0xFFFF:x}:{low ^ 0xFFFF:x}"
    yield "Teredo server", f"2001:0:{high:x}:{low:x}:8000:63bf:3fff:fdd2"
    yield "SIIT", f"::ffff:0:{high:x}:{low:x}"
    yield "local NAT64", f"64:ff9b:1::{high:x}:{low:x}"


@pytest.mark.parametrize(
    ("expected", "texts"),
    [
        (Reach.PRIVATE, PRIVATE_V4 + PRIVATE_V6),
        (Reach.FORBIDDEN, FORBIDDEN_V4 + FORBIDDEN_V6),
        (Reach.PUBLIC, PUBLIC_V4 + PUBLIC_V6),
    ],
)
def test_each_range_begins_and_ends_where_the_registry_says(
    expected: Reach, texts: list[str]
) -> None:
    assert {text: reach_of(ipaddress.ip_address(text)) for text in texts} == dict.fromkeys(
        texts, expected
    )


@pytest.mark.parametrize("v4", PRIVATE_V4 + FORBIDDEN_V4 + PUBLIC_V4)
def test_an_ipv6_form_is_as_good_as_the_ipv4_address_in_it(v4: str) -> None:
    expected = reach_of(ipaddress.ip_address(v4))
    got = {name: reach_of(ipaddress.ip_address(text)) for name, text in carried(v4)}
    assert got == dict.fromkeys(got, expected)


@pytest.mark.parametrize("v4", [*PRIVATE_V4, *FORBIDDEN_V4, *PUBLIC_V4])
def test_tunnels_lead_nowhere_whatever_they_carry(v4: str) -> None:
    got = {name: reach_of(ipaddress.ip_address(text)) for name, text in tunnelled(v4)}
    # ::0.0.0.1 is also how ::1 is written: private, which is refused to everyone that matters here
    assert {name: reach for name, reach in got.items() if reach is not Reach.FORBIDDEN} == {}


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("0X7F.1", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("::1", "::1"),
        ("fe80::1%eth0", "fe80::1"),
    ],
)
def test_a_host_is_read_as_a_resolver_reads_it(host: str, address: str) -> None:
    assert literal(host) == ipaddress.ip_address(address)


@pytest.mark.parametrize(
    "host", ["example.com", "localhost", "", "1.2.3.4.5", "1e100.net", "127.0.0.1.nip.io"]
)
def test_a_name_is_no_address(host: str) -> None:
    assert literal(host) is None
