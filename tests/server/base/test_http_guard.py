"""No spelling of an address, no name and no trick reaches this machine or its network through the guarded client.

Canaries listen on loopback, on IPv4 and IPv6, and count who connects. The C library reads what
spells an address; names get their answers from the test, because no test may depend on a name server.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack

import attrs
import pytest
from tests.server.support.listeners import Listener, answer, listening

from bolti_server.base.http import GuardedHttp, HttpFailed

SEND = {"timeout_seconds": 5.0, "max_response_bytes": 1000}


@attrs.frozen
class Canaries:
    v4: Listener
    v6: Listener | None

    @property
    def seen(self) -> int:
        return self.v4.connections + (self.v6.connections if self.v6 else 0)


@pytest.fixture
async def canaries() -> AsyncIterator[Canaries]:
    async with AsyncExitStack() as stack:
        v4 = await stack.enter_async_context(listening(answer(b"tweet")))
        try:
            v6 = await stack.enter_async_context(listening(answer(b"tweet"), "::1", v4.port))
        except OSError:  # a machine without IPv6
            v6 = None
        yield Canaries(v4, v6)


def spellings(v4: str) -> Iterator[str]:
    """Every way to write an IPv4 address as the host of a URL."""
    a, b, c, d = (int(part) for part in v4.split("."))
    number = int(ipaddress.IPv4Address(v4))
    yield from (
        v4,
        f"{v4}.",
        f"{a}.{b}.{c * 256 + d}",
        f"{a}.{(b << 16) + (c << 8) + d}",
        str(number),
    )
    yield from (
        hex(number),
        hex(number).upper(),
        f"0{number:o}",
        f"0x{number:016x}",
        f"000{number:o}",
    )
    yield from (
        ".".join(hex(part) for part in (a, b, c, d)),
        ".".join(f"0{part:o}" for part in (a, b, c, d)),
    )
    yield from (
        f"{a:#x}.{b}.{c}.{d}",
        f"0{a:o}.{b}.{c}.{d:#x}",
        f"{a:#x}.{(b << 16) + (c << 8) + d:#x}",
    )
    yield from (f"{a:03d}.{b:03d}.{c:03d}.{d:03d}", f"0x{a:02x}.0x{b:02x}.0x{c:02x}.0x{d:02x}")
    yield from (f"{a}。{b}。{c}。{d}", f"{a}．{b}．{c}．{d}", f"{a}｡{b}｡{c}｡{d}")
    yield from (
        "".join(chr(ord(sign) - ord("0") + 0xFF10) if sign.isdigit() else sign for sign in v4),
    )
    yield from ("".join(f"%{ord(sign):02X}" for sign in v4), v4.replace(".", "%2e"))
    yield from (f"user@{v4}", f"example.com@{v4}", f"example.com:80@{v4}", f"example.com%23@{v4}")
    yield from (
        f"example.com\\@{v4}",
        f"[::ffff:{v4}]",
        f"[::ffff:{number >> 16:x}:{number & 0xFFFF:x}]",
    )
    yield from (f"[64:ff9b::{v4}]", f"[::{v4}]", f"[2002:{number >> 16:x}:{number & 0xFFFF:x}::]")
    yield from (
        f"[0:0:0:0:0:ffff:{v4}]",
        f"[::ffff:{v4}%25eth0]",
        f"[::FFFF:{v4}]",
        f"[64:ff9b:1::{v4}]",
    )
    yield from (f"[2001:0:{number >> 16:x}:{number & 0xFFFF:x}:0:0:ffff:ffff]",)


TARGETS = ["127.0.0.1", "127.0.0.53", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254",
           "100.64.0.1", "100.100.100.200", "192.0.0.192", "198.18.0.1", "224.0.0.1", "240.0.0.1",
           "255.255.255.255", "168.63.129.16"]  # fmt: skip
OTHER_HOSTS = ["[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::1%25lo]", "[::1%lo]", "[fe80::1]", "[fe80::1%25lo]",
               "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "[fec0::1]", "[2001:db8::1]", "localhost", "LOCALHOST",
               "localhost.", "LocalHost", "ip6-localhost", "0", "0x0", "00", "127.1", "127.0.1"]  # fmt: skip
FORMS = [*(form for target in TARGETS for form in spellings(target)), *OTHER_HOSTS]


def guarded(*answers: Sequence[str], allows_private: bool = False) -> GuardedHttp:
    """A client whose resolver gives these answers, one look-up after the other (the last one again and again)."""
    left = list(answers)

    async def resolve(host: str, port: int) -> Sequence[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return GuardedHttp(allows_private=allows_private, resolve=resolve)


async def as_this_machine_reads_it(host: str, port: int) -> Sequence[str]:
    """The C library's reading of a spelled address, and of this machine's own names; nothing asks a name server."""
    flags = 0 if "localhost" in host.lower() else socket.AI_NUMERICHOST
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [str(sockaddr[0]) for *_, sockaddr in found]


async def reason_of(http: GuardedHttp, url: str) -> str:
    with pytest.raises(HttpFailed) as caught:
        await http.send("GET", url, **SEND)
    return caught.value.reason


def test_there_are_at_least_500_forms() -> None:
    assert len(set(FORMS)) >= 500


async def test_no_spelling_of_a_local_address_reaches_a_canary(canaries: Canaries) -> None:
    http = GuardedHttp(allows_private=False, resolve=as_this_machine_reads_it)
    reasons = {}
    for scheme in ("http", "https"):
        for form in FORMS:
            reasons[scheme, form] = await reason_of(http, f"{scheme}://{form}:{canaries.v4.port}/")
    await http.close()
    assert canaries.seen == 0
    # Nothing was even tried: a connection that fails or times out would have left this machine.
    assert set(reasons.values()) <= {"forbidden_address", "dns", "protocol"}
    plain = [reasons["http", target] for target in TARGETS]
    assert plain == ["forbidden_address"] * len(TARGETS)


async def test_the_canaries_are_alive(canaries: Canaries) -> None:
    http = GuardedHttp(allows_private=True)
    for host in (
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "localhost",
        *(["[::1]"] if canaries.v6 else []),
    ):
        assert (
            await http.send("GET", f"http://{host}:{canaries.v4.port}/", **SEND)
        ).body == b"tweet"
    await http.close()
    assert canaries.seen >= 4


async def test_metadata_services_are_forbidden_even_where_private_addresses_are_allowed() -> None:
    http = GuardedHttp(allows_private=True)
    hosts = ("169.254.169.254", "[fd00:ec2::254]", "100.100.100.200", "168.63.129.16", "[::ffff:169.254.169.254]",
             "0.0.0.0", "224.0.0.1", "2852039166")  # fmt: skip
    assert [await reason_of(http, f"http://{host}/") for host in hosts] == [
        "forbidden_address"
    ] * len(hosts)
    await http.close()


@pytest.mark.parametrize(
    "answers",
    [["127.0.0.1"], ["::1"], ["1.1.1.1", "127.0.0.1"], ["127.0.0.1", "1.1.1.1"], ["2606:4700::1", "::ffff:10.0.0.1"],
     ["fe80::1%2"], ["not an address"]],
)  # fmt: skip
async def test_one_bad_address_condemns_the_name(canaries: Canaries, answers: list[str]) -> None:
    http = guarded(answers)
    url = f"http://innocent.example:{canaries.v4.port}/"
    assert await reason_of(http, url) == "forbidden_address"
    assert canaries.seen == 0


async def test_a_name_that_changes_its_answer_gains_nothing() -> None:
    """DNS rebinding: good when it is judged, bad when it is asked again. It is not asked again."""
    looked_up = 0

    async def resolve(host: str, port: int) -> Sequence[str]:
        nonlocal looked_up
        looked_up += 1
        return ["127.0.0.1"] if looked_up == 1 else ["127.0.0.2"]

    async with (
        listening(answer(b"first"), "127.0.0.1") as first,
        listening(answer(b"second"), "127.0.0.2", first.port) as second,
    ):
        http = GuardedHttp(allows_private=True, resolve=resolve)
        got = await http.send("GET", f"http://rebinding.example:{first.port}/", **SEND)
        assert (got.body, looked_up, second.connections) == (b"first", 1, 0)
        # and each request judges anew: no connection is kept
        got = await http.send("GET", f"http://rebinding.example:{first.port}/", **SEND)
        assert (got.body, looked_up) == (b"second", 2)
        await http.close()


async def test_a_rebinding_name_is_refused_at_the_request_at_which_it_turns_bad(
    canaries: Canaries,
) -> None:
    http = guarded(["127.0.0.1"], ["169.254.169.254"], allows_private=True)
    url = f"http://rebinding.example:{canaries.v4.port}/"
    assert (await http.send("GET", url, **SEND)).status == 200
    assert await reason_of(http, url) == "forbidden_address"
    assert canaries.seen == 1


async def test_the_next_address_is_tried_when_the_first_does_not_answer(canaries: Canaries) -> None:
    async with listening(answer(b"x"), "127.0.0.9") as gone:
        port = gone.port  # nobody listens on 127.0.0.9 at the canary's port
    assert port != canaries.v4.port
    http = guarded(["127.0.0.9", "127.0.0.1"], allows_private=True)
    assert (
        await http.send("GET", f"http://two.example:{canaries.v4.port}/", **SEND)
    ).body == b"tweet"
    await http.close()


async def test_a_refusal_does_not_tell_where_a_name_leads() -> None:
    with pytest.raises(HttpFailed) as caught:
        await guarded(["10.1.2.3"]).send("GET", "http://internal.example/", **SEND)
    assert "10.1.2.3" not in caught.value.detail


async def test_redirects_are_answers_and_never_followed(canaries: Canaries) -> None:
    location = f"Location: http://127.0.0.1:{canaries.v4.port}/\r\n".encode()
    async with listening(answer(b"moved", status=302, headers=location)) as server:
        http = GuardedHttp(allows_private=True)
        got = await http.send("GET", server.url, **SEND)
        await http.close()
    assert (got.status, got.body, canaries.seen) == (302, b"moved", 0)


async def test_proxies_of_the_environment_are_not_used(
    canaries: Canaries, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{canaries.v4.port}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    async with listening(answer(b"direct")) as server:
        http = GuardedHttp(allows_private=True)
        assert (await http.send("GET", server.url, **SEND)).body == b"direct"
        await http.close()
    assert canaries.seen == 0


async def test_a_look_up_that_hangs_ends_at_the_time_out() -> None:
    async def never(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    http = GuardedHttp(allows_private=False, resolve=never)
    with pytest.raises(HttpFailed, match="timeout"):
        await http.send("GET", "http://slow.example/", timeout_seconds=0.05, max_response_bytes=10)
    await http.close()


@pytest.mark.parametrize(
    "url",
    ["ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "//example.com/", "example.com", "",
     "http:///path", "http://", "https://user:secret@example.com/", "http://example.com:0/", "http://example.com:99999/",
     "http://example.com:25/", "http://example.com:6379/", "http://exa mple.com/", "http://example.com\t/",
     "http://%65xample.com/", "http://example.com:80:80/", "http://" + "a" * 9000, "javascript:alert(1)",
     "http://127.0.0.1/", "http://[::1]/", "http://0x7f.1/", "http://2130706433/", "http://localhost/",
     "http://api.localhost./", "http://169.254.169.254/latest/meta-data", "http://[64:ff9b::7f00:1]/"],
)  # fmt: skip
def test_a_url_that_could_never_be_asked_has_a_complaint(url: str) -> None:
    assert GuardedHttp(allows_private=False).check_url(url)


@pytest.mark.parametrize(
    "url",
    ["https://example.com/hook", "http://example.com", "https://example.com:8443/a?b=c", "https://1.1.1.1/",
     "https://[2606:4700:4700::1111]/", "https://bücher.example/", "HTTPS://EXAMPLE.COM/"],
)  # fmt: skip
def test_a_good_url_has_none(url: str) -> None:
    assert GuardedHttp(allows_private=False).check_url(url) is None


def test_local_urls_may_be_saved_where_the_operator_allows_them() -> None:
    http = GuardedHttp(allows_private=True)
    assert http.check_url("http://127.0.0.1:9000/") is None
    assert http.check_url("http://localhost:9000/") is None
    assert http.check_url("http://169.254.169.254/")
