"""A counterpart of api.openai.com: models and streaming chat completions, as its OpenAPI file describes them.

Source: `vendor/MODELS-README.md` and the counterparts in `spikes/models`, whose shapes were checked against that file.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from typing import Any

from aiohttp import web
from tests.server.support.vendors.server import Vendor, drop

# Words; a tool's name and its arguments (JSON, or as it stands); words and a tool.
Arguments = dict[str, Any] | str
Answer = str | tuple[str, Arguments] | tuple[str, str, Arguments]
MODELS = ("gpt-4.1", "gpt-4.1-mini")
_ERRORS = {
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    404: ("invalid_request_error", "model_not_found", "The model does not exist."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached."),
    500: ("server_error", None, "The server had an error while processing your request."),
}
_ERROR_EVENT = {
    "error": {
        "message": "The server had an error",
        "type": "server_error",
        "param": None,
        "code": None,
    }
}


class OpenAI(Vendor):
    """`answer(messages)` says what the model answers."""

    def __init__(self, answer: Callable[[list[dict[str, Any]]], Answer], key: str) -> None:
        super().__init__(key)
        self._answer = answer

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/models", self._models),
            web.get("/v1/models/{id}", self._models),
            web.post("/v1/chat/completions", self._chat),
        ]

    def _denied(self, request: web.Request) -> web.Response | None:
        is_known = request.headers.get("Authorization") == f"Bearer {self.key}"
        status = self.status or (None if is_known else 401)
        return None if status is None else _error(status)

    async def _models(self, request: web.Request) -> web.Response:
        self.note(request)
        if denied := self._denied(request):
            return denied
        rows = [
            {"id": name, "object": "model", "created": 1, "owned_by": "openai"} for name in MODELS
        ]
        if (one := request.match_info.get("id")) is None:
            return web.json_response({"object": "list", "data": rows})
        found = next((row for row in rows if row["id"] == one), None)
        return _error(404) if found is None else web.json_response(found)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.note(request, body)
        await self.hang_if_broken()
        if denied := self._denied(request):
            return denied
        if body["model"] not in MODELS:
            return _error(404)
        assert body["stream"] is True
        assert body["stream_options"] == {"include_usage": True}
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        while self.fault is not None and self.fault.kind == "comments":
            await response.write(b": still here\n\n")
            await asyncio.sleep(0.5)
        for index, chunk in enumerate(_chunks(body, self._answer(body["messages"]))):
            if self.has_come_to("stall", index):
                await asyncio.Event().wait()
            if self.has_come_to("cut", index):
                drop(response)
                return response
            if self.has_come_to("error", index):
                await response.write(b"data: " + json.dumps(_ERROR_EVENT).encode() + b"\n\n")
                return response
            await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        await response.write(b"data: [DONE]\n\n")
        return response


def _chunks(body: dict[str, Any], answer: Answer) -> list[dict[str, Any]]:
    common = {
        "id": f"chatcmpl-{uuid.uuid4().hex[:24]}",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": f"{body['model']}-2026-01-01",
        "system_fingerprint": "fp_counterpart",
    }

    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**common, "choices": [choice], "usage": None}

    text, tool = (answer, ()) if isinstance(answer, str) else (answer[-3:-2], answer[-2:])
    parts = [chunk({"role": "assistant", "content": "" if text else None, "refusal": None})]
    if text:
        words = [f"{word} " for word in "".join(text).split(" ")]
        words[-1] = words[-1].rstrip()
        parts += [chunk({"content": word}) for word in words]
    if tool:
        name, arguments = tool
        call = {"index": 0, "id": f"call_{uuid.uuid4().hex[:20]}", "type": "function"}
        call["function"] = {"name": name, "arguments": ""}
        written = arguments if isinstance(arguments, str) else json.dumps(arguments)
        argued = {"index": 0, "function": {"arguments": written}}
        parts += [chunk({"tool_calls": [call]}), chunk({"tool_calls": [argued]})]
    parts.append(chunk({}, "tool_calls" if tool else "stop"))
    read = len(json.dumps(body["messages"])) // 4
    usage = {
        "prompt_tokens": read,
        "completion_tokens": len(parts),
        "total_tokens": read + len(parts),
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    }
    return [*parts, {**common, "choices": [], "usage": usage}]


def _error(status: int) -> web.Response:
    kind, code, message = _ERRORS[status]
    error = {"message": message, "type": kind, "param": None, "code": code}
    return web.json_response({"error": error}, status=status)
