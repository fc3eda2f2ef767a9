"""A counterpart of api.deepgram.com: live transcription, as its AsyncAPI file describes it. It reads the modem's words.

Source: `vendor/MODELS-README.md` and the counterparts in `spikes/models`, whose shapes were checked against that file.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from aiohttp import WSMsgType, web
from tests.server.support.vendors.server import Vendor, drop

from bolti_server.simulated.modem import Decoder

SILENCE_SECONDS = 10.0  # without audio or KeepAlive the service closes (NET-0001)


class Deepgram(Vendor):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.messages: list[str] = []  # types of the text messages that were sent to it
        self.audio_bytes = 0

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/listen", self._listen), web.get("/v1/projects", self._projects)]

    def _denied(self, request: web.Request) -> web.Response | None:
        if self.status is None and request.headers.get("Authorization") == f"Token {self.key}":
            return None
        body = {"err_code": "INVALID_AUTH", "err_msg": "Invalid credentials.", "request_id": _id()}
        return web.json_response(body, status=self.status or 401)

    async def _projects(self, request: web.Request) -> web.Response:
        self.note(request)
        project = {"project_id": _id(), "name": "default"}
        return self._denied(request) or web.json_response({"projects": [project]})

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        self.note(request)
        await self.hang_if_broken()
        if denied := self._denied(request):
            return denied
        assert request.query["encoding"] == "linear16"
        assert request.query["sample_rate"] == "16000"
        socket = web.WebSocketResponse()
        socket.headers["dg-request-id"] = _id()
        await socket.prepare(request)
        self._live.add(socket)
        listening = _Listening(socket, request.query["model"])
        while True:
            try:
                message = await socket.receive(timeout=SILENCE_SECONDS)
            except TimeoutError:
                await socket.close(code=1011, message=b"NET-0001")
                break
            if message.type == WSMsgType.BINARY:
                self.audio_bytes += len(message.data)
                if self.has_come_to("stall", 0):
                    continue
                await listening.hear(message.data)
                if listening.has_heard_words and self.has_come_to("cut", 0):
                    drop(socket)
                    break
            elif message.type == WSMsgType.TEXT:
                kind = json.loads(message.data)["type"]
                self.messages.append(kind)
                if kind == "CloseStream":
                    await socket.close()
                    break
            else:
                break
        self._live.discard(socket)
        return socket


class _Listening:
    """One stream: what it has heard, and what it said about it."""

    def __init__(self, socket: web.WebSocketResponse, model: str) -> None:
        self._socket = socket
        self._model = model
        self._decoder = Decoder()
        self._heard_seconds = 0.0
        self._began_seconds = 0.0
        self._interim = ""

    @property
    def has_heard_words(self) -> bool:
        """Whether there are words of which it has told nothing final yet."""
        return bool(self._interim)

    async def hear(self, pcm: bytes) -> None:
        self._heard_seconds += len(pcm) / 2 / 16000
        texts = self._decoder.push(pcm)
        partial = self._decoder.partial.rpartition(" ")[0]
        if partial and not self._interim:
            self._began_seconds = self._heard_seconds
            await self._say(type="SpeechStarted", channel=[0, 1], timestamp=self._began_seconds)
        if partial and partial != self._interim:
            await self._result(partial, is_final=False)
        self._interim = partial
        for text in texts:
            await self._result(text, is_final=True)
            self._interim = ""

    async def _result(self, text: str, *, is_final: bool) -> None:
        words = text.split()
        length = (self._heard_seconds - self._began_seconds) / max(1, len(words))
        starts = [self._began_seconds + index * length for index in range(len(words))]
        alternative = {
            "transcript": text,
            "confidence": 0.99,
            "words": [
                {
                    "word": word.lower().strip(".,?!"),
                    "punctuated_word": word,
                    "start": round(start, 3),
                    "end": round(start + length, 3),
                    "confidence": 0.99,
                }
                for word, start in zip(words, starts, strict=True)
            ],
        }
        info = {"name": self._model, "version": "2026-01-01.0", "arch": "nova-3"}
        await self._say(
            type="Results",
            channel_index=[0, 1],
            start=round(self._began_seconds, 3),
            duration=round(self._heard_seconds - self._began_seconds, 3),
            is_final=is_final,
            speech_final=is_final,
            from_finalize=False,
            channel={"alternatives": [alternative]},
            metadata={"request_id": _id(), "model_uuid": _id(), "model_info": info},
        )

    async def _say(self, **message: Any) -> None:
        await self._socket.send_str(json.dumps(message))


def _id() -> str:
    return str(uuid.uuid4())
