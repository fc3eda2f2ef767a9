"""A tool's request, in a call and in a Test: one code path, an answer in every case, secrets in the request alone."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from typing import Any

import attrs
import httpx2
import pytest
from tests.server.conftest import Home
from tests.server.support.listeners import Listener, answer, listening

from bolti_server.agents.calling import ToolContext, call_tool
from bolti_server.base.http import GuardedHttp
from bolti_server.worker_api.messages import ToolAnswer
from bolti_server.world import World

TOOLS = "/workspaces/current/tools"
SECRET = "s3cret-of-the-clinic"
DAY = {"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]}


@attrs.frozen
class Bench:
    """A workspace with one tool after the other."""

    client: httpx2.AsyncClient
    world: World
    home: Home

    async def make(self, url: str, **fields: Any) -> str:
        body = {
            "name": "look_up",
            "description": "Looks.",
            "url": url,
            "input_schema": DAY,
            **fields,
        }
        made = await self.client.post(TOOLS, json=body)
        assert made.status_code == 201, made.text
        tool_id: str = made.json()["id"]
        return tool_id

    async def call(
        self,
        tool_ids: list[str],
        arguments: dict[str, Any],
        *,
        name: str = "look_up",
        variables: dict[str, Any] | None = None,
        world: World | None = None,
    ) -> ToolAnswer:
        context = ToolContext("conv_of_the_test", tool_ids, variables or {})
        return await call_tool(
            world or self.world, self.home.workspace_id, context, name, arguments
        )

    async def test(self, tool_id: str, **body: Any) -> httpx2.Response:
        return await self.client.post(f"{TOOLS}/{tool_id}/test", json=body)


@pytest.fixture
def bench(client: httpx2.AsyncClient, world: World, home: Home) -> Bench:
    return Bench(client, world, home)


def head_and_body(server: Listener, index: int = -1) -> tuple[list[bytes], bytes]:
    head, _, body = server.requests[index].partition(b"\r\n\r\n")
    return head.split(b"\r\n"), body


async def test_a_call_sends_the_request_and_gives_the_answer_to_the_model(bench: Bench) -> None:
    async with listening(answer(b'{"slots": ["10:00"]}')) as server:
        tool_id = await bench.make(
            server.url + "slots/{{ day }}",
            headers=[{"name": "X-Call", "value": "{{ conversation_id }}"}],
            authorization={"kind": "bearer", "token": SECRET},
        )
        got = await bench.call(
            [tool_id], {"day": "a/b"}, variables={"conversation_id": "conv_1", "day": "no"}
        )
    head, body = head_and_body(server)
    assert head[0] == b"GET /slots/a%2Fb HTTP/1.1"
    assert {b"X-Call: conv_1", f"Authorization: Bearer {SECRET}".encode()} <= set(head)
    assert body == b""
    assert (got.result, got.is_error) == ({"slots": ["10:00"]}, False)
    assert got.duration_ms >= 0


async def test_a_test_sends_the_same_bytes_as_a_call_and_shows_them_masked(bench: Bench) -> None:
    # the service echoes its caller's header: that is masked too
    echo = json.dumps({"you_sent": f"Bearer {SECRET}", "n": 1}).encode()
    async with listening(answer(echo, headers=f"X-Echo: {SECRET}\r\n".encode())) as server:
        tool_id = await bench.make(
            server.url + "w",
            method="POST",
            body_template='{"day": "{{ day }}", "who": "{{ name | default: 5 }}"}',
            authorization={"kind": "bearer", "token": SECRET},
        )
        called = await bench.call([tool_id], {"day": "mon"}, variables={"name": "Asha"})
        tested = await bench.test(
            tool_id, arguments={"day": "mon"}, variable_values={"name": "Asha"}
        )
    assert server.requests[0] == server.requests[1]
    assert head_and_body(server)[1] == b'{"day": "mon", "who": "Asha"}'
    shown = tested.json()
    assert tested.status_code == 200
    assert SECRET not in tested.text
    assert SECRET not in json.dumps(called.result)
    assert shown["request"]["body"] == '{"day": "mon", "who": "Asha"}'
    assert {"name": "Authorization", "value": "•••"} in shown["request"]["headers"]
    assert shown["response"]["status"] == 200
    assert shown["result"] == called.result == {"you_sent": "Bearer •••", "n": 1}
    assert shown["is_error"] is False
    assert (shown["variables"]["name"], shown["variables"]["caller_number"]) == ("Asha", "")


async def test_an_hmac_signs_the_target_as_it_is_sent(bench: Bench) -> None:
    async with listening(answer(b"{}")) as server:
        tool_id = await bench.make(
            server.url + 'Straße "1"/100%/{{ day }}?q=<x>&r=%41|',
            authorization={"kind": "hmac", "secret": SECRET},
        )
        await bench.call([tool_id], {"day": "é|"})
    head, _ = head_and_body(server)
    target = head[0].split(b" ")[1]
    signature = next(line for line in head if line.startswith(b"Bolti-Signature: ")).split(b": ")[1]
    stamp, digest = (part.split(b"=")[1] for part in signature.split(b","))
    signed = b"%b.GET.%b." % (stamp, target)
    assert digest.decode() == hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()


async def test_arguments_that_do_not_fit_are_told_to_the_model_and_nothing_is_sent(
    bench: Bench,
) -> None:
    async with listening(answer(b"{}")) as server:
        tool_id = await bench.make(server.url)
        for arguments in ({}, {"day": 7}, {"day": "mon", "customer": "other"}):
            got = await bench.call([tool_id], arguments)
            assert got.is_error
            assert "nothing was sent" in got.result["error"]
            tested = await bench.test(tool_id, arguments=arguments)
            assert tested.status_code == 400
            assert tested.json()["errors"][0]["pointer"] == "/arguments"
        assert server.connections == 0


async def test_a_tool_that_the_agent_does_not_have_is_not_called(bench: Bench) -> None:
    async with listening(answer(b"{}")) as server:
        tool_id = await bench.make(server.url)
        assert (await bench.call([], {"day": "mon"})).is_error
        got = await bench.call([tool_id], {"day": "mon"}, name="cut_the_lights")
        assert "no tool called 'cut_the_lights'" in got.result["error"]
        assert (await bench.client.delete(f"{TOOLS}/{tool_id}")).status_code == 204
        assert (await bench.call([tool_id], {"day": "mon"})).is_error
        assert server.connections == 0


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (500, b"oops", "answered 500"),
        (404, b'{"why": "unknown day"}', "answered 404"),
        (302, b"", "redirect"),
    ],
)
async def test_a_refusal_of_the_service_is_an_error_that_the_model_reads(
    bench: Bench, status: int, body: bytes, words: str
) -> None:
    async with listening(answer(body, status=status)) as server:
        tool_id = await bench.make(server.url)
        got = await bench.call([tool_id], {"day": "mon"})
    assert got.is_error
    assert words in got.result["error"]
    assert server.connections == 1


async def test_what_can_not_be_reached_is_an_error_in_words_and_never_an_exception(
    bench: Bench,
) -> None:
    async def mute(request: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async def nonsense(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")

    async with listening(answer(b"")) as gone:
        closed = gone.url
    words = {}
    async with listening(mute) as slow, listening(nonsense) as strange:
        for name, url in (
            ("a", closed),
            ("b", slow.url),
            ("c", strange.url),
        ):
            tool_id = await bench.make(url, name=f"tool_{name}", timeout_ms=1000)
            got = await bench.call([tool_id], {"day": "mon"}, name=f"tool_{name}")
            assert got.is_error
            words[name] = got.result["error"]
            shown = (await bench.test(tool_id, arguments={"day": "mon"})).json()
            assert (shown["response"], shown["is_error"]) == (None, True)
            assert shown["result"] == got.result
    assert words == {
        "a": "The service can't be reached.",
        "b": "The service did not answer within 1 s.",
        "c": "The service gave no proper HTTP answer.",
    }


async def test_where_private_addresses_are_not_allowed_none_is_asked(bench: Bench) -> None:
    """Saved where it was allowed (or through a name that turned local since): judged again at each request."""
    async with listening(answer(b"{}")) as server:
        tool_id = await bench.make(server.url)
        strict = attrs.evolve(bench.world, http=GuardedHttp(allows_private=False))
        got = await bench.call([tool_id], {"day": "mon"}, world=strict)
        await strict.http.close()
        assert "not public" in got.result["error"]
        assert server.connections == 0


async def test_a_huge_answer_is_cut(bench: Bench) -> None:
    async with listening(answer(b"x" * 3_000_000)) as server:
        tool_id = await bench.make(server.url)
        got = await bench.call([tool_id], {"day": "mon"})
        assert not got.is_error
        assert len(json.dumps(got.result)) < 20_000
        mapped = await bench.make(server.url, name="mapped", response_mapping={"a": "/a"})
        got = await bench.call([mapped], {"day": "mon"}, name="mapped")
        assert got.is_error


async def test_a_secret_that_can_not_be_read_is_an_error_for_the_model(bench: Bench) -> None:
    async with listening(answer(b"{}")) as server:
        tool_id = await bench.make(server.url, authorization={"kind": "bearer", "token": SECRET})
        async with bench.world.db.transaction() as tx:
            await tx.execute("update tools set secret_encrypted = '\\x0102'")
        got = await bench.call([tool_id], {"day": "mon"})
        assert got.is_error
        assert server.connections == 0


async def test_no_transaction_is_open_while_the_service_is_asked(bench: Bench) -> None:
    counted: list[int] = []

    async def look(request: bytes, writer: asyncio.StreamWriter) -> None:
        async with bench.world.db.transaction() as tx:
            counted.append(
                await tx.fetchval(
                    """select count(*) from pg_stat_activity where datname = current_database()
                       and pid <> pg_backend_pid() and xact_start is not null and backend_type = 'client backend'"""
                )
            )
        await answer(b"{}")(request, writer)

    async with listening(look) as server:
        tool_id = await bench.make(server.url)
        await bench.call([tool_id], {"day": "mon"})
        await bench.test(tool_id, arguments={"day": "mon"})
    assert counted == [0, 0]
