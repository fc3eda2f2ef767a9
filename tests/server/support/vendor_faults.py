"""Every fault of a vendor × speech to text, language model, voice × with and without a second vendor, in whole calls.

Each row is a call of its own on a line of real sound, with counterparts of the vendors of its own: they work until the
callee has answered, then one of them breaks, and stays broken. Rows are played side by side, since sound takes its time.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Literal

import attrs
from livekit.plugins import cartesia, deepgram, openai
from tests.server.support.call_server import RecordingServer
from tests.server.support.call_specs import call_spec
from tests.server.support.vendors.cartesia import VOICE, Cartesia
from tests.server.support.vendors.deepgram import Deepgram
from tests.server.support.vendors.openai import OpenAI
from tests.server.support.vendors.server import Fault, Vendor
from tests.server.support.voice_calls import carry

from bolti_server.simulated.callees import Callee
from bolti_server.simulated.line import SimulatedLine
from bolti_server.simulated.phone import Phone
from bolti_server.voice.models import Models
from bolti_server.worker_api.messages import CallSpec, LlmSpec, SttSpec, TtsSpec

Kind = Literal["stt", "llm", "tts"]
Outcome = Literal["answered", "model_error"]

WISH = "Book it."
ANSWER = "It is booked for ten. Bye."
SIDE_BY_SIDE = 9
PATIENCE_MS = 15_000
AGAIN_MS = 1_500
MOST_WISHES = 4
LONGEST_SILENCE_MS = 5_000


@attrs.frozen
class Row:
    """`says`: what of our own words the callee hears. `requests`: at most so many to the vendor that is broken."""

    kind: Kind
    name: str
    fault: Fault
    has_second: bool
    outcome: Outcome
    says: frozenset[str] = frozenset()

    @property
    def id(self) -> str:
        return f"{self.kind} {self.name}, {'a second vendor' if self.has_second else 'alone'}"


APOLOGY = "technical problem"
ASKS_AGAIN = "say it again"
_TWICE = frozenset({ASKS_AGAIN, APOLOGY})
_AT_ONCE = frozenset({APOLOGY})
_NOTHING: frozenset[str] = frozenset()

# Of each fault: what the callee hears when there is no second vendor. With one, it hears the answer, and none of these.
_ALONE: list[tuple[Kind, str, Fault, frozenset[str]]] = [
    ("llm", "401", Fault("status", 401), _AT_ONCE),
    ("llm", "429", Fault("status", 429), _TWICE),
    ("llm", "500", Fault("status", 500), _TWICE),
    ("llm", "never answers the request", Fault("hang"), _TWICE),
    ("llm", "stalls before a token", Fault("stall", after=0), _TWICE),
    ("llm", "breaks before a token", Fault("cut", after=0), _TWICE),
    ("llm", "stalls after tokens", Fault("stall", after=4), _TWICE),
    ("llm", "breaks after tokens", Fault("cut", after=4), _TWICE),
    ("llm", "error event after tokens", Fault("error", after=4), _TWICE),
    ("llm", "comments for ever", Fault("comments"), _TWICE),
    ("tts", "401", Fault("status", 401), _NOTHING),
    ("tts", "429", Fault("status", 429), _NOTHING),
    ("tts", "500", Fault("status", 500), _NOTHING),
    ("tts", "handshake hangs", Fault("hang"), _NOTHING),
    ("tts", "stalls before sound", Fault("stall", after=0), _NOTHING),
    ("tts", "breaks before sound", Fault("cut", after=0), _NOTHING),
    ("tts", "error event", Fault("error", after=0), _NOTHING),
    ("tts", "stalls in the first word", Fault("stall", after=2), _NOTHING),
    ("tts", "breaks in the first word", Fault("cut", after=2), _NOTHING),
    ("tts", "stalls after a second", Fault("stall", after=15), _NOTHING),
    ("tts", "breaks after a second", Fault("cut", after=15), _NOTHING),
    ("stt", "401", Fault("status", 401), _AT_ONCE),
    ("stt", "429", Fault("status", 429), _AT_ONCE),
    ("stt", "500", Fault("status", 500), _AT_ONCE),
    ("stt", "handshake hangs", Fault("hang"), _AT_ONCE),
    ("stt", "takes sound, answers nothing", Fault("stall"), _TWICE),
    ("stt", "breaks in speech", Fault("cut"), _AT_ONCE),
]


def rows() -> Iterator[Row]:
    for kind, name, fault, says in _ALONE:
        # Asked again from the word at which it broke, that vendor comes to the end.
        is_enough = name.endswith("after a second")
        outcome: Outcome = "answered" if is_enough else "model_error"
        yield Row(kind, name, fault, has_second=False, outcome=outcome, says=says)
        yield Row(kind, name, fault, has_second=True, outcome="answered")


@attrs.frozen
class Played:
    """What became of a row."""

    row: Row
    longest_silence_ms: int
    silences: list[tuple[int, int]]
    heard: list[str]
    stored: list[str]  # the agent's turns
    understood: list[str]  # the callee's
    code: str
    detail: str | None
    usage: dict[str, tuple[str, ...]]


async def play(row: Row, models: Models, folder: Path) -> Played:
    """The whole call. `models` gives the voice detector."""
    async with AsyncExitStack() as stack:
        count = 2 if row.has_second else 1

        async def started(vendor: Vendor) -> Any:
            return await stack.enter_async_context(vendor)

        vendors: dict[Kind, list[Any]] = {
            "stt": [await started(Deepgram("key")) for _ in range(count)],
            "llm": [await started(OpenAI(lambda _messages: ANSWER, "key")) for _ in range(count)],
            "tts": [await started(Cartesia("key")) for _ in range(count)],
        }
        spec = _spec(row)
        server = RecordingServer(folder)
        line = SimulatedLine(
            spec.line, ring_timeout_seconds=2, voice="modem", callee=Callee(_wish, ring_ms=0)
        )
        voices: list[Any] = []
        breaking = asyncio.create_task(_break(server, vendors[row.kind][0], row.fault, voices))
        try:
            await carry(spec, line, server, _models(vendors, models, voices))
        finally:
            breaking.cancel()
    silences = _silences(line)
    return Played(
        row=row,
        longest_silence_ms=max((end - start for start, end in silences), default=0),
        silences=silences,
        heard=line.heard,
        stored=[text for role, text in server.words if role == "agent"],
        understood=[text for role, text in server.words if role == "user"],
        code=server.end.code,
        detail=server.end.detail,
        usage={
            component: tuple(
                each.provider for each in server.end.usage if each.component == component
            )
            for component in ("stt", "llm", "tts")
        },
    )


async def _wish(phone: Phone) -> None:
    await phone.wait_for_agent(patience_ms=PATIENCE_MS)
    for _ in range(MOST_WISHES):
        await phone.say(WISH)
        heard = await _hear_out(phone)
        if "Bye" in heard:
            return
        if APOLOGY in heard:
            await phone.wait(PATIENCE_MS)  # it is for the agent to hang up


async def _hear_out(phone: Phone) -> str:
    """An agent that breaks off in mid-sentence may go on in a moment."""
    heard = await phone.wait_for_agent(patience_ms=PATIENCE_MS) or ""
    while not re.search(r"[.?!]$", heard) and await phone.hear_voice(20, patience_ms=AGAIN_MS):
        heard += " " + (await phone.wait_for_agent(patience_ms=PATIENCE_MS) or "")
    return heard


async def _break(server: RecordingServer, vendor: Vendor, fault: Fault, voices: list[Any]) -> None:
    await server.wait_for_report("answered")
    vendor.break_with(fault)
    if fault.is_of_the_handshake:
        voices[
            0
        ]._pool.invalidate()  # else the next turn finds a dropped connection, and no handshake


def _spec(row: Row) -> CallSpec:
    second = row.kind if row.has_second else None
    return call_spec(
        greeting="Hello.",
        tools=[],
        stt=SttSpec(provider="deepgram"),
        llm=LlmSpec(provider="openai"),
        tts=TtsSpec(provider="cartesia"),
        stt_fallbacks=[SttSpec(provider="second", model="nova-2")] if second == "stt" else [],
        llm_fallbacks=[LlmSpec(provider="second", model="gpt-4.1-mini")] if second == "llm" else [],
        tts_fallbacks=[TtsSpec(provider="second", model="sonic-2")] if second == "tts" else [],
        max_duration_seconds=50,
        silence_timeout_seconds=20,
    )


def _models(vendors: dict[Kind, list[Any]], models: Models, voices: list[Any]) -> Models:
    """The real plugins, at this row's own counterparts; the second vendor is the last of each."""

    def ear(vendor: Vendor, model: str) -> Any:
        return deepgram.STT(model=model, api_key="key", base_url=f"{vendor.url}/v1/listen")

    def mind(vendor: Vendor, model: str) -> Any:
        return openai.LLM(model=model, api_key="key", base_url=f"{vendor.url}/v1")

    def voice(vendor: Vendor, model: str) -> Any:
        made = cartesia.TTS(model=model, voice=VOICE, api_key="key", base_url=vendor.url)
        voices.append(made)
        return made

    return Models(
        stt={
            "deepgram": lambda _spec, _line: ear(vendors["stt"][0], "nova-3"),
            "second": lambda _spec, _line: ear(vendors["stt"][-1], "nova-2"),
        },
        llm={
            "openai": lambda _spec: mind(vendors["llm"][0], "gpt-4.1"),
            "second": lambda _spec: mind(vendors["llm"][-1], "gpt-4.1-mini"),
        },
        tts={
            "cartesia": lambda _spec: voice(vendors["tts"][0], "sonic-3"),
            "second": lambda _spec: voice(vendors["tts"][-1], "sonic-2"),
        },
        vad=models.vad,
    )


def _silences(line: SimulatedLine) -> list[tuple[int, int]]:
    """Stretches of the line, from the answer to the end, in which nobody's voice was on it."""
    silences: list[tuple[int, int]] = []
    quiet_since = 0
    for stretch in sorted(line.stretches, key=lambda each: each.start_ms):
        if stretch.start_ms > quiet_since:
            silences.append((quiet_since, stretch.start_ms))
        quiet_since = max(quiet_since, stretch.end_ms)
    if line.position_ms > quiet_since:
        silences.append((quiet_since, line.position_ms))
    return silences


class Table:
    """Plays all rows, so many at a time; `await of(row)` gives what became of one."""

    def __init__(self, models: Models, folder: Path, all_rows: list[Row]) -> None:
        self._places = asyncio.Semaphore(SIDE_BY_SIDE)
        self._tasks = {
            row.id: asyncio.create_task(self._play(row, models, folder / str(index)))
            for index, row in enumerate(all_rows)
        }

    async def of(self, row: Row) -> Played:
        return await self._tasks[row.id]

    async def stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.wait(self._tasks.values())

    async def _play(self, row: Row, models: Models, folder: Path) -> Played:
        folder.mkdir(parents=True)
        async with self._places:
            return await play(row, models, folder)
