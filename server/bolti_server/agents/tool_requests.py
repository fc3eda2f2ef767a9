"""The HTTP request of a tool: template, variables and arguments in; method, URL, headers and body out.

Rule: a value stays a value. In a URL it is percent-encoded, in a JSON body it is a JSON string or literal, in a header
it has no line breaks; so nothing that a caller says can add a parameter, a header or a field. What an LLM says never
decides which host is asked. Arguments that the schema does not declare go nowhere.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import attrs

from bolti_server.agents.tool_authorization import MASK, Authorization
from bolti_server.agents.tool_schemas import closed
from bolti_server.agents.variables import BUILT_IN, Tag, Value, spell, substitute, tags

METHODS_WITHOUT_BODY = frozenset({"GET", "DELETE"})
MAX_URL_CHARACTERS = 8_192
MAX_BODY_BYTES = 1_000_000

_URL = re.compile(
    r"https?://(?P<authority>[^/?#\\]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(#.*)?", re.DOTALL
)
_HOST_VALUE = re.compile(r"[A-Za-z0-9.-]*")
_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\Z)', re.DOTALL)
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SENT_AS_IT_IS = (
    "%/?:@!$&'()*+,;=~"  # RFC 3986: what path and query may hold beside letters and digits
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


class ToolProblem(Exception):
    """The request can't be made; the text says why and is fit for an LLM. `pointer`: the tool's field."""

    def __init__(self, text: str, pointer: str = "/url") -> None:
        super().__init__(text)
        self.pointer = pointer


@attrs.frozen
class HttpTool:
    """A workspace HTTP tool, as configured."""

    name: str
    url: str
    description: str = ""
    method: str = "GET"
    timeout_ms: int = 15_000
    headers: tuple[tuple[str, str], ...] = ()
    body_template: str | None = None
    input_schema: Mapping[str, Any] | None = None
    response_mapping: Mapping[str, str] | None = None

    @property
    def content_type(self) -> str:
        given = (value for name, value in self.headers if name.lower() == "content-type")
        return next(given, "application/json").split(";", 1)[0].strip().lower()

    @property
    def is_json(self) -> bool:
        return self.content_type == "application/json" or self.content_type.endswith("+json")


@attrs.frozen
class ToolHttpRequest:
    """What is sent. `masked_…` are the same for people: a Test's answer shows those."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    masked_url: str
    masked_headers: tuple[tuple[str, str], ...]


@attrs.frozen
class Values:
    """What templates may use. `trusted` is without what the LLM said."""

    trusted: Mapping[str, object]
    all: Mapping[str, object]
    arguments: Mapping[str, object]


def values_of(
    tool: HttpTool, arguments: Mapping[str, object], variables: Mapping[str, Value]
) -> Values:
    """Declared arguments stand before the conversation's variables, and never before the built-in ones."""
    schema = closed(tool.input_schema)
    is_open = schema["additionalProperties"] is not False
    declared = {
        name: value for name, value in arguments.items() if is_open or name in schema["properties"]
    }
    fixed = {name: value for name, value in variables.items() if name in BUILT_IN}
    return Values(dict(variables), {**variables, **declared, **fixed}, declared)


def build(
    tool: HttpTool, authorization: Authorization, values: Values, *, unix_time: int
) -> ToolHttpRequest:
    """The request to send. Raises ToolProblem where the values leave no sensible one."""
    rest = _unused(tool, values.arguments)
    has_body = tool.method not in METHODS_WITHOUT_BODY
    query = [] if has_body else _as_parameters(rest)
    body = _body(tool, values) if has_body else None
    url = _with_query(render_url(tool.url, values), query)
    headers = [(name, _header_value(value, values)) for name, value in tool.headers]
    if body is not None and not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    shown_url, shown_headers = url, list(headers)
    parameter = authorization.query_parameter()
    if parameter is not None:
        url, shown_url = _with_query(url, [parameter]), _with_query(url, [(parameter[0], MASK)])
    header = authorization.header(
        target=_target(url), method=tool.method, body=body or b"", unix_time=unix_time
    )
    if header is not None:
        headers = [*_without(headers, header[0]), header]
        shown_headers = [*_without(shown_headers, header[0]), (header[0], MASK)]
    if len(url) > MAX_URL_CHARACTERS:
        raise ToolProblem(f"The address became longer than {MAX_URL_CHARACTERS} characters.")
    return ToolHttpRequest(
        method=tool.method,
        url=url,
        headers=tuple(headers),
        body=body,
        masked_url=authorization.mask(shown_url).replace(quote(MASK), MASK),
        masked_headers=tuple((name, authorization.mask(value)) for name, value in shown_headers),
    )


def render_url(template: str, values: Values) -> str:
    """The URL with every value percent-encoded. Raises ToolProblem for a host or a path that values could misuse."""
    shape = _URL.fullmatch(_hide_tags(template))
    if shape is None:
        raise ToolProblem("The tool's address has to begin with https:// or http://.")
    host_end = shape.end("authority")

    def write(tag: Tag, value: object) -> str:
        if tag.start >= host_end:
            return quote(_text(value), safe="", errors="replace")
        trusted = values.trusted.get(tag.name, tag.default if tag.default is not None else "")
        text = _text(trusted)
        if _HOST_VALUE.fullmatch(text) is None:
            raise ToolProblem(f"The value of {tag.name} can't be part of a host name.")
        return text

    url = substitute(template, values.all, write)
    match = _URL.fullmatch(url)
    if match is None or not match["authority"].strip(".:"):
        raise ToolProblem("The tool's address has no host with these values.")
    if any(part in (".", "..") for part in match["path"].split("/")):
        raise ToolProblem("A value of . or .. can't be part of the address.")
    end = match.end("authority")
    return url[:end] + _as_sent(url[end:].split("#", 1)[0])


def url_host(template: str) -> str | None:
    """The part of a URL template that says which host is asked, with its tags; None: it is no URL."""
    shape = _URL.fullmatch(_hide_tags(template))
    return None if shape is None else template[: shape.end("authority")].lower()


def _body(tool: HttpTool, values: Values) -> bytes:
    if tool.body_template is None:
        if tool.content_type == "application/x-www-form-urlencoded":
            body = urlencode(_as_parameters(values.arguments)).encode()
        else:
            body = json.dumps(dict(values.arguments), ensure_ascii=False).encode("utf-8", "replace")
    else:
        text = substitute(tool.body_template, values.all, _writer_for(tool, tool.body_template))
        body = text.encode("utf-8", "replace")
        if tool.is_json:
            _check_json(text)
    if len(body) > MAX_BODY_BYTES:
        raise ToolProblem(f"The body became larger than {MAX_BODY_BYTES} bytes.", "/body_template")
    return body


def _check_json(text: str) -> None:
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        text = f"body_template gives no valid JSON with these values: {error}"
        raise ToolProblem(text, "/body_template") from None


def _writer_for(tool: HttpTool, template: str) -> Callable[[Tag, object], str]:
    if tool.content_type == "application/x-www-form-urlencoded":
        return lambda _tag, value: quote(_text(value), safe="", errors="replace")
    if not tool.is_json:
        return lambda _tag, value: _text(value)
    strings = [match.span() for match in _JSON_STRING.finditer(_hide_tags(template))]
    starts = [start for start, _ in strings]

    def write(tag: Tag, value: object) -> str:
        nearest = bisect_right(starts, tag.start) - 1
        is_in_string = nearest >= 0 and tag.start < strings[nearest][1]
        if is_in_string:
            return json.dumps(_text(value))[1:-1]
        return json.dumps(value)

    return write


def _hide_tags(template: str) -> str:
    """The template with a letter for each character of a tag, so that what stands in a tag has no meaning outside."""
    pieces: list[str] = []
    position = 0
    for tag in tags(template):
        pieces.append(template[position : tag.start])
        pieces.append("x" * (tag.end - tag.start))
        position = tag.end
    return "".join([*pieces, template[position:]])


def _header_value(template: str, values: Values) -> str:
    text = substitute(template, values.all, lambda _tag, value: _text(value))
    return _CONTROL.sub(" ", text).strip()


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str | int | float | bool):
        return spell(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _unused(tool: HttpTool, arguments: Mapping[str, object]) -> dict[str, object]:
    """Arguments that neither the URL nor a header has a place for."""
    used = {tag.name for text in (tool.url, *(v for _, v in tool.headers)) for tag in tags(text)}
    return {name: value for name, value in arguments.items() if name not in used}


def _as_parameters(arguments: Mapping[str, object]) -> list[tuple[str, str]]:
    """Query or form parameters: a list is repeated, null is left out, an object is JSON."""
    pairs: list[tuple[str, str]] = []
    for name, value in arguments.items():
        each = value if isinstance(value, list) else [value]
        pairs.extend((name, _text(item)) for item in each if item is not None)
    return pairs


def _with_query(url: str, parameters: list[tuple[str, str]]) -> str:
    if not parameters:
        return url
    sign = "&" if "?" in url else "?"
    return url + sign + urlencode(parameters, quote_via=quote, errors="replace")


def _as_sent(target: str) -> str:
    """Path and query in the spelling in which the client puts them on the wire: a signature is made of that."""
    return quote(_LONE_PERCENT.sub("%25", target), safe=_SENT_AS_IT_IS, errors="replace")


def _without(headers: list[tuple[str, str]], name: str) -> list[tuple[str, str]]:
    return [header for header in headers if header[0].lower() != name.lower()]


def _target(url: str) -> str:
    match = _URL.fullmatch(url)
    assert match is not None, "the URL was built here"
    return (match["path"] or "/") + (match["query"] or "")
