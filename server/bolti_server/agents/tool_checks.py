"""What is wrong with an HTTP tool, found when it is saved: all of it at once, with pointers.

Rule: a tool that is saved can be called. What a JSON Schema of the contract can say is checked there; here is what
takes reading: templates, the host, headers that belong to us, a body that is no JSON, an authorization without parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from bolti_server.agents.tool_authorization import Authorization, AuthorizationKind
from bolti_server.agents.tool_requests import (
    HttpTool,
    ToolProblem,
    Values,
    build,
    url_host,
)
from bolti_server.agents.tool_schemas import schema_faults
from bolti_server.agents.variables import tags, unreadable_parts
from bolti_server.base.errors import Fault

BUILT_IN_TOOLS = frozenset({"cut_call", "transfer_call", "schedule_callback", "send_dtmf"})

_NAME = re.compile(r"[a-z][a-z0-9_]{0,254}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")
_POINTER = re.compile(r"(/([^/~]|~[01])*)*")
# They frame the message or say who is asked: the client that sends the request writes them.
_OUR_HEADERS = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_NEEDED = {
    AuthorizationKind.NONE: (),
    AuthorizationKind.BEARER: ("token",),
    AuthorizationKind.BASIC: ("username", "password"),
    AuthorizationKind.API_KEY_HEADER: ("name", "value"),
    AuthorizationKind.API_KEY_QUERY: ("name", "value"),
    AuthorizationKind.HMAC: ("secret",),
}


def faults_of_tool(tool: HttpTool) -> list[Fault]:
    """Everything that would keep `tool` from working."""
    faults = [
        *_name_faults(tool.name),
        *_url_faults(tool.url),
        *_header_faults(tool),
        *template_faults(tool.body_template, "/body_template"),
        *schema_faults(tool.input_schema),
    ]
    for name, pointer in (tool.response_mapping or {}).items():
        if _POINTER.fullmatch(pointer) is None:
            detail = f"{pointer!r} is no JSON pointer (RFC 6901), such as /order/status."
            faults.append(Fault("invalid_json_pointer", detail, f"/response_mapping/{name}"))
    if not faults:
        faults.extend(_rehearsal_faults(tool))
    return faults


def faults_of_authorization(authorization: Authorization) -> list[Fault]:
    """What a kind needs and is not there."""
    faults = [
        Fault(
            "required",
            f"{authorization.kind} authorization needs {part}.",
            f"/authorization/{part}",
        )
        for part in _NEEDED[authorization.kind]
        if not getattr(authorization, part)
    ]
    names_a_header = authorization.kind in (
        AuthorizationKind.API_KEY_HEADER,
        AuthorizationKind.HMAC,
    )
    if names_a_header and authorization.name:
        faults.extend(_header_name_faults(authorization.name, "/authorization/name"))
    if ":" in authorization.username:
        detail = "A user name with a colon can't be sent (RFC 7617)."
        faults.append(Fault("invalid_format", detail, "/authorization/username"))
    for part in ("token", "password", "value"):
        text = getattr(authorization, part)
        if any(ord(sign) < 32 or ord(sign) == 127 for sign in text):
            detail = "Line breaks and other control characters can't be sent in a header."
            faults.append(Fault("invalid_format", detail, f"/authorization/{part}"))
    return faults


def template_faults(text: str | None, pointer: str) -> list[Fault]:
    """A fault for each part of `text` that looks like a variable and can't be read as one."""
    return [
        Fault(
            "invalid_template",
            f'{part!r} can\'t be read. Write {{{{ name }}}} or {{{{ name | default: "text" }}}}.',
            pointer,
        )
        for part in unreadable_parts(text or "")
    ]


def _name_faults(name: str) -> Iterator[Fault]:
    if _NAME.fullmatch(name) is None:
        detail = (
            "A tool's name is snake_case: a-z, 0-9 and _, at most 255, beginning with a letter."
        )
        yield Fault("invalid_format", detail, "/name")
    elif name in BUILT_IN_TOOLS:
        yield Fault("reserved_name", f"{name} is a built-in tool. Choose another name.", "/name")


def _url_faults(url: str) -> Iterator[Fault]:
    yield from template_faults(url, "/url")
    host = url_host(url)
    if host is None:
        yield Fault(
            "invalid_url", "The URL has to begin with https:// or http:// and a host.", "/url"
        )
    elif "@" in host:
        detail = "Put user name and password into authorization (kind basic), not into the URL."
        yield Fault("invalid_url", detail, "/url")
    elif not host.partition("://")[2]:
        yield Fault("invalid_url", "The URL has no host.", "/url")


def _header_faults(tool: HttpTool) -> Iterator[Fault]:
    for index, (name, value) in enumerate(tool.headers):
        yield from _header_name_faults(name, f"/headers/{index}/name")
        yield from template_faults(value, f"/headers/{index}/value")


def _header_name_faults(name: str, pointer: str) -> Iterator[Fault]:
    if _HEADER_NAME.fullmatch(name) is None:
        yield Fault("invalid_format", f"{name[:60]!r} is no name for a header.", pointer)
    elif name.lower() in _OUR_HEADERS:
        yield Fault(
            "reserved_name", f"The header {name} is written by the sender of the request.", pointer
        )


def _rehearsal_faults(tool: HttpTool) -> Iterator[Fault]:
    """Builds the request once, with a harmless value for every variable."""
    texts = (tool.url, tool.body_template or "", *(value for _, value in tool.headers))
    names = {tag.name for text in texts for tag in tags(text)}
    values = dict.fromkeys(names, "example")
    try:
        build(tool, Authorization(), Values(values, values, {}), unix_time=0)
    except ToolProblem as problem:
        yield Fault("invalid_template", str(problem), problem.pointer)
