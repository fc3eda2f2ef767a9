"""The contract as it is, and a page to read it: `/openapi.yaml`, `/openapi.json`, `/docs`.

Rule: the page loads nothing from anywhere else. What is vendored stands in vendored/vendored.json with version, integrity
and licence; the policy below lets the page run only scripts of this server, and talk only to this server.
"""

from __future__ import annotations

import functools
import hashlib
from importlib import resources

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from bolti_server.base.errors import Refusal
from bolti_server.web.contract import load_contract
from bolti_server.web.responses import bytes_response

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_PAGE_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
# What a browser may fetch below /docs/assets, and where it lies.
_ASSETS = {
    "reference.js": ("reference.js", "text/javascript"),
    "reference.css": ("reference.css", "text/css"),
    "swagger-ui-bundle.js": ("vendored/swagger-ui-bundle.js", "text/javascript"),
    "swagger-ui.css": ("vendored/swagger-ui.css", "text/css"),
}


@get("/openapi.yaml", sync_to_thread=False)
def get_contract_yaml() -> Response[bytes]:
    """The file as it was written."""
    return bytes_response(load_contract().source, media_type="application/yaml")


@get("/openapi.json", sync_to_thread=False)
def get_contract_json() -> Response[bytes]:
    return bytes_response(_contract_as_json())


@get("/docs", sync_to_thread=False)
def get_reference() -> Response[bytes]:
    return bytes_response(_file("reference.html"), headers=_PAGE_HEADERS, media_type="text/html")


@get("/docs/assets/{name:str}", sync_to_thread=False)
def get_asset(name: FromPath[str]) -> Response[bytes]:
    if name not in _ASSETS:
        raise Refusal(404, "not_found", "There is no such file.")
    path, media_type = _ASSETS[name]
    content = _file(path)
    headers = {
        **_PAGE_HEADERS,
        "Cache-Control": "public, max-age=3600",
        "ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"',
    }
    return bytes_response(content, headers=headers, media_type=media_type)


@get("/", sync_to_thread=False)
def get_root() -> Response[bytes]:
    """A person who opens the server's address wants to read."""
    return bytes_response(b"", 307, {"Location": "/docs"}, media_type="text/plain")


ROUTES: list[HTTPRouteHandler] = [
    get_contract_yaml,
    get_contract_json,
    get_reference,
    get_asset,
    get_root,
]


@functools.cache
def _contract_as_json() -> bytes:
    return msgspec.json.encode(load_contract().document)


@functools.cache
def _file(path: str) -> bytes:
    return resources.files("bolti_server").joinpath("api", *path.split("/")).read_bytes()
