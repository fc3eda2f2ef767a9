"""A counterpart of api.cartesia.ai: speech over a websocket and the voice library. It speaks in the modem's tones.

Source: `vendor/MODELS-README.md` and the counterparts in `spikes/models`, whose shapes were checked against the
published AsyncAPI file. One context per agent turn: a message per sentence, then one with `continue: false`.
"""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import numpy as np
from aiohttp import WSMsgType, web
from tests.server.support.vendors.server import Seen, Vendor, drop

from bolti_server.simulated.modem import encode
from bolti_server.simulated.sound import RATE

VOICE = "f786b574-daa5-4673-aa0c-cbe3e8534c02"
SAMPLE_RATE = 24_000
CHUNK_BYTES = 2 * SAMPLE_RATE // 10


class Cartesia(Vendor):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.spoken: list[str] = []

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/tts/websocket", self._websocket),
            web.get("/voices/{id}", self._voice),
        ]

    def _denied(self, request: web.Request) -> web.Response | None:
        version = request.query.get("cartesia_version") or request.headers.get("Cartesia-Version")
        assert version, "the service wants a version"
        given = request.headers.get("X-API-Key") or request.query.get("api_key")
        if self.status is None and given == self.key:
            return None
        return web.Response(status=self.status or 401, text="Unauthorized: Invalid API key.")

    async def _voice(self, request: web.Request) -> web.Response:
        self.note(request)
        if denied := self._denied(request):
            return denied
        if request.match_info["id"] != VOICE:
            return web.Response(status=404, text="Voice not found")
        return web.json_response({"id": VOICE, "name": "Katie", "language": "en"})

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        self.note(request)
        await self.hang_if_broken()
        if denied := self._denied(request):
            return denied
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._live.add(socket)
        contexts: dict[str, asyncio.Queue[dict[str, Any]]] = {}
        async with asyncio.TaskGroup() as speaking:
            async for message in socket:
                if message.type != WSMsgType.TEXT:
                    break
                wanted = json.loads(message.data)
                self.seen.append(Seen("WS", request.path, {}, wanted))
                context_id = wanted["context_id"]
                if context_id not in contexts:
                    contexts[context_id] = asyncio.Queue()
                    speaking.create_task(self._speak(socket, context_id, contexts[context_id]))
                contexts[context_id].put_nowait(wanted)
            self._live.discard(socket)
            for context in contexts.values():
                context.put_nowait({"transcript": "", "continue": False})
        return socket

    async def _speak(
        self, socket: web.WebSocketResponse, context_id: str, texts: asyncio.Queue[dict[str, Any]]
    ) -> None:
        async def say(kind: str, *, done: bool = False, **members: Any) -> None:
            if not socket.closed:
                head = {"type": kind, "context_id": context_id, "done": done}
                status = 200 if done else 206
                await socket.send_str(json.dumps({**head, "status_code": status, **members}))

        position, pieces = 0.0, 0
        while True:
            wanted = await texts.get()
            text = wanted["transcript"].strip()
            if text:
                assert wanted["voice"] == {"mode": "id", "id": VOICE}
                assert wanted["output_format"]["sample_rate"] == SAMPLE_RATE
                pcm = _tones(text)
                await say("timestamps", word_timestamps=_timestamps(text, position, pcm))
                position += len(pcm) / 2 / SAMPLE_RATE
                if self.has_come_to("error", pieces):
                    await say("error", done=True, error="Internal server error: it broke")
                    return
                for start in range(0, len(pcm), CHUNK_BYTES):
                    if self.has_come_to("stall", pieces):
                        return
                    if self.has_come_to("cut", pieces):
                        drop(socket)
                        return
                    pieces += 1
                    data = base64.b64encode(pcm[start : start + CHUNK_BYTES]).decode()
                    await say("chunk", data=data, step_time=1.0)
                self.spoken.append(text)
            if not wanted.get("continue"):
                await say("done", done=True)
                return


def _tones(text: str) -> bytes:
    samples = np.frombuffer(encode(text), "<i2").astype(float)
    at = np.arange(0, len(samples) - 1, RATE / SAMPLE_RATE)
    return np.interp(at, np.arange(len(samples)), samples).astype("<i2").tobytes()


def _timestamps(text: str, position: float, pcm: bytes) -> dict[str, Any]:
    words = text.split()
    length = len(pcm) / 2 / SAMPLE_RATE / len(words)
    starts = [position + index * length for index in range(len(words))]
    return {"words": words, "start": starts, "end": [start + length for start in starts]}
