"""The guarded client sends what it is told, once, and takes no more time or memory than it is given."""

from __future__ import annotations

import asyncio
import datetime as dt
import gzip
import socket
import ssl
import time
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.server.support.listeners import answer, listening

from bolti_server.base.http import GuardedHttp, HttpAnswer, HttpFailed


@pytest.fixture
async def http() -> AsyncIterator[GuardedHttp]:
    client = GuardedHttp(allows_private=True)
    yield client
    await client.close()


async def get(
    http: GuardedHttp, url: str, *, seconds: float = 5.0, most: int = 10_000
) -> HttpAnswer:
    return await http.send("GET", url, timeout_seconds=seconds, max_response_bytes=most)


async def reason_of(http: GuardedHttp, url: str, *, seconds: float = 5.0) -> str:
    with pytest.raises(HttpFailed) as caught:
        await get(http, url, seconds=seconds)
    return caught.value.reason


@asynccontextmanager
async def plain_text_server() -> AsyncIterator[int]:
    """Speaks first, and no TLS."""

    def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def everywhere_is_loopback(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


async def test_a_request_goes_out_as_it_was_given_and_its_answer_comes_back(
    http: GuardedHttp,
) -> None:
    async with listening(
        answer(b'{"ok":true}', status=418, headers=b"X-Kind: teapot\r\n")
    ) as server:
        got = await http.send(
            "PATCH",
            server.url + "a%20b?c=%7B&d",
            headers=[("X-One", "1"), ("Content-Type", "application/json"), ("X-Name", "Zoë")],
            body=b'{"a":1}',
            timeout_seconds=5,
            max_response_bytes=1000,
        )
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"PATCH /a%20b?c=%7B&d HTTP/1.1"
    assert f"Host: 127.0.0.1:{server.port}".encode() in lines
    assert {b"X-One: 1", b"Content-Type: application/json", "X-Name: Zoë".encode()} <= set(lines)
    assert b"Content-Length: 7" in lines
    assert body == b'{"a":1}'
    assert (got.status, got.body, got.is_truncated) == (418, b'{"ok":true}', False)
    assert ("X-Kind", "teapot") in got.headers
    assert 0 <= got.duration_ms < 5000


async def test_a_get_has_no_body_and_a_post_says_that_its_body_is_empty(http: GuardedHttp) -> None:
    async with listening(answer(b"")) as server:
        await get(http, server.url)
        await http.send("POST", server.url, timeout_seconds=5, max_response_bytes=10)
    assert b"content-length" not in server.requests[0].lower()
    assert b"content-length: 0\r\n" in server.requests[1].lower()


async def test_headers_that_frame_the_message_or_name_the_host_are_ours(http: GuardedHttp) -> None:
    theirs = [("Host", "internal.example"), ("content-length", "5"), ("Transfer-Encoding", "chunked"),
              ("Connection", "keep-alive"), ("Expect", "100-continue"), ("Accept-Encoding", "gzip"),
              ("Upgrade", "h2c"), ("TE", "trailers")]  # fmt: skip
    async with listening(answer(b"")) as server:
        await http.send("GET", server.url, headers=theirs, timeout_seconds=5, max_response_bytes=10)
    seen = server.requests[0].lower()
    for word in (
        b"internal.example",
        b"content-length",
        b"chunked",
        b"keep-alive",
        b"100-continue",
        b"gzip",
        b"h2c",
    ):
        assert word not in seen
    assert seen.count(b"\r\nhost:") == 1


@pytest.mark.parametrize(
    "header",
    [
        ("X-A", "1\r\nX-B: 2"),
        ("X A", "1"),
        ("X-A\r\nHost", "x"),
        ("", "1"),
        ("X-Ü", "1"),
        ("X-A", "\ud800"),
    ],
)
async def test_a_header_that_would_break_the_message_is_not_sent(
    http: GuardedHttp, header: tuple[str, str]
) -> None:
    async with listening(answer(b"")) as server:
        with pytest.raises(HttpFailed, match="protocol"):
            await http.send(
                "GET", server.url, headers=[header], timeout_seconds=5, max_response_bytes=10
            )
    assert server.requests == []


async def test_the_host_of_an_ipv6_address_has_its_brackets() -> None:
    http = GuardedHttp(allows_private=True)
    try:
        async with listening(answer(b""), "::1") as server:
            await get(http, server.url)
            assert f"Host: [::1]:{server.port}".encode() in server.requests[0]
    except OSError as error:
        pytest.skip(f"this machine has no IPv6 loopback: {error}")
    await http.close()


async def test_a_name_keeps_its_host_header_and_its_tls_name_though_an_address_is_connected(
    authority: Authority,
) -> None:
    http = GuardedHttp(
        allows_private=True, resolve=everywhere_is_loopback, ssl_context=authority.client()
    )
    names: list[str | None] = []
    context = authority.server("tools.example")
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    async with listening(answer(b"secret"), tls=context) as server:
        got = await get(http, f"https://tools.example:{server.port}/")
    await http.close()
    assert got.body == b"secret"
    assert names == ["tools.example"]
    assert f"Host: tools.example:{server.port}".encode() in server.requests[0]


async def test_a_certificate_of_another_name_or_of_nobody_is_refused(authority: Authority) -> None:
    trusting = GuardedHttp(
        allows_private=True, resolve=everywhere_is_loopback, ssl_context=authority.client()
    )
    plain = GuardedHttp(allows_private=True, resolve=everywhere_is_loopback)
    async with listening(answer(b""), tls=authority.server("tools.example")) as server:
        assert await reason_of(trusting, f"https://other.example:{server.port}/") == "tls"
        assert await reason_of(plain, f"https://tools.example:{server.port}/") == "tls"
        assert server.requests == []
    async with plain_text_server() as port:
        assert await reason_of(plain, f"https://tools.example:{port}/") == "tls"
    await trusting.close()
    await plain.close()


async def test_a_closed_port_a_hang_up_and_nonsense_have_their_reasons(http: GuardedHttp) -> None:
    async with listening(answer(b"")) as server:
        closed = server.url
    assert await reason_of(http, closed) == "connect"

    async def nobody(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    lost = GuardedHttp(allows_private=True, resolve=nobody)
    assert await reason_of(lost, "http://nobody.example/") == "dns"
    await lost.close()

    async def hang_up(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async def nonsense(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n\r\n")

    async def half(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

    async def endless_headers(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-A: " + b"a" * 60_000 + b"\r\n")
            await writer.drain()

    got = []
    for behave in (hang_up, nonsense, half, endless_headers):
        async with listening(behave) as server:
            got.append(await reason_of(http, server.url))
    assert got == ["protocol", "protocol", "protocol", "protocol"]


async def test_a_slow_drip_ends_at_the_time_out_though_every_read_is_quick(
    http: GuardedHttp,
) -> None:
    async def drip(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.01)

    async def drip_headers(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X: y\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    for behave in (drip, drip_headers):
        async with listening(behave) as server:
            started = time.monotonic()
            assert await reason_of(http, server.url, seconds=0.3) == "timeout"
            assert time.monotonic() - started < 2.0


async def test_a_reader_that_never_reads_ends_at_the_time_out(http: GuardedHttp) -> None:
    stuck = asyncio.Event()

    async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await stuck.wait()
        writer.close()

    server = await asyncio.start_server(ignore, "127.0.0.1", 0, limit=1)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(HttpFailed, match="timeout"):
        await http.send(
            "POST",
            f"http://127.0.0.1:{port}/",
            body=b"x" * 50_000_000,
            timeout_seconds=0.3,
            max_response_bytes=10,
        )
    stuck.set()
    server.close()


async def test_a_huge_body_is_cut_at_its_cap_and_the_rest_never_read(http: GuardedHttp) -> None:
    written = 0

    async def flood(request: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            await writer.drain()
            written += 65536

    async with listening(flood) as server:
        got = await get(http, server.url, most=100_000)
    assert (len(got.body), got.is_truncated, got.status) == (100_000, True, 200)
    assert written < 50_000_000


@pytest.mark.parametrize(
    ("size", "is_truncated"), [(99, False), (100, False), (101, True), (0, False)]
)
async def test_a_body_at_the_cap_is_whole(http: GuardedHttp, size: int, is_truncated: bool) -> None:
    async with listening(answer(b"x" * size)) as server:
        got = await get(http, server.url, most=100)
    assert (len(got.body), got.is_truncated) == (min(size, 100), is_truncated)


@pytest.mark.parametrize(("pack", "name"), [(gzip.compress, b"gzip"), (zlib.compress, b"deflate")])
async def test_an_answer_compressed_unasked_is_undone_and_a_bomb_is_cut(
    http: GuardedHttp, pack, name
) -> None:
    header = b"Content-Encoding: " + name + b"\r\n"
    async with listening(answer(pack(b"hello"), headers=header)) as server:
        assert (await get(http, server.url)).body == b"hello"
    async with listening(answer(pack(b"\0" * 100_000_000), headers=header)) as server:
        got = await get(http, server.url, most=10_000)
    assert (len(got.body), got.is_truncated) == (10_000, True)
    async with listening(answer(b"no zip at all", headers=header)) as server:
        assert await reason_of(http, server.url) == "protocol"


async def test_many_exchanges_run_side_by_side_each_on_its_own_connection(
    http: GuardedHttp,
) -> None:
    together = asyncio.Barrier(50)

    async def meet(request: bytes, writer: asyncio.StreamWriter) -> None:
        await together.wait()
        await answer(b"met")(request, writer)

    async with listening(meet) as server:
        got = await asyncio.gather(*(get(http, server.url) for _ in range(50)))
        assert {each.body for each in got} == {b"met"}
        assert server.connections == 50


async def test_a_cancelled_exchange_closes_its_connection(http: GuardedHttp) -> None:
    arrived, left = asyncio.Event(), asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        arrived.set()
        await reader.read()
        left.set()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    task = asyncio.create_task(get(http, f"http://127.0.0.1:{port}/", seconds=30))
    await asyncio.wait_for(arrived.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(left.wait(), 5)
    server.close()


class Authority:
    """A certificate authority of this test run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of a test")])
        self._certificate = self._sign(self._name, self._key.public_key(), [], is_authority=True)

    def client(self) -> ssl.SSLContext:
        text = self._certificate.public_bytes(serialization.Encoding.PEM).decode()
        return ssl.create_default_context(cadata=text)

    def server(self, name: str) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(
            subject, key.public_key(), [x509.DNSName(name)], is_authority=False
        )
        path = self._folder / f"{name}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        names: list[x509.GeneralName],
        *,
        is_authority: bool,
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(_usage(is_authority), critical=True)  # Python 3.13 insists on it
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def _usage(is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )
