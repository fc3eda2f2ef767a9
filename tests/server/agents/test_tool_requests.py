"""The request of a tool: values stay values, wherever they stand."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bolti_server.agents.tool_authorization import MASK, Authorization, AuthorizationKind
from bolti_server.agents.tool_requests import (
    HttpTool,
    ToolHttpRequest,
    ToolProblem,
    build,
    values_of,
)

CITY = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
NASTY = ["a b", "a&b=c", "x#y", "?q", "/../../admin", "%2e", "é\n\r", "\x00", '"},{"', "{{ city }}"]


def request(
    arguments: dict[str, Any] | None = None,
    variables: dict[str, Any] | None = None,
    authorization: Authorization | None = None,
    **fields: Any,
) -> ToolHttpRequest:
    fields = {"name": "weather", "url": "https://api.example.com/w", "input_schema": CITY, **fields}
    tool = HttpTool(**fields)
    values = values_of(tool, arguments or {}, variables or {})
    return build(tool, authorization or Authorization(), values, unix_time=1_700_000_000)


def test_arguments_of_a_get_go_to_the_query_and_there_is_no_body() -> None:
    made = request({"city": "New Delhi", "days": 3}, url="https://api.example.com/w?units=c")
    assert made.url == "https://api.example.com/w?units=c&city=New%20Delhi&days=3"
    assert made.body is None
    assert request({"city": "X"}, method="DELETE", body_template="{}").body is None


def test_arguments_of_a_post_are_its_json_body() -> None:
    made = request({"city": "पुणे", "days": 3}, method="POST")
    assert json.loads(made.body or b"") == {"city": "पुणे", "days": 3}
    assert ("Content-Type", "application/json") in made.headers


def test_an_argument_that_the_url_uses_is_not_sent_twice() -> None:
    made = request({"city": "Pune", "days": 3}, url="https://api.example.com/w/{{ city }}")
    assert made.url == "https://api.example.com/w/Pune?days=3"


def test_what_the_schema_does_not_declare_goes_nowhere() -> None:
    made = request(
        {"city": "Pune", "customer_id": "other"},
        {"customer_id": "mine"},
        url="https://api.example.com/{{ customer_id }}/w",
    )
    assert made.url == "https://api.example.com/mine/w?city=Pune"


def test_an_argument_never_stands_in_for_a_built_in_variable() -> None:
    schema = {"type": "object", "properties": {"caller_number": {"type": "string"}}}
    made = request(
        {"caller_number": "+1999"},
        {"caller_number": "+12025550100"},
        url="https://api.example.com/?by={{ caller_number }}",
        input_schema=schema,
    )
    assert made.url == "https://api.example.com/?by=%2B12025550100"


@pytest.mark.parametrize("value", NASTY)
def test_a_value_in_a_url_stays_one_part(value: str) -> None:
    made = request({}, {"v": value}, url="https://api.example.com/a/{{ v }}/b?x={{ v }}&y=1")
    parts = urlsplit(made.url)
    assert parts.netloc == "api.example.com"
    assert parts.path.count("/") == 3
    assert dict(parse_qsl(parts.query, keep_blank_values=True)) == {"x": value, "y": "1"}


@pytest.mark.parametrize("value", [".", ".."])
def test_a_value_can_not_climb_out_of_its_path(value: str) -> None:
    with pytest.raises(ToolProblem, match="can't be part of the address"):
        request({}, {"v": value}, url="https://api.example.com/a/{{ v }}/b")


def test_dots_in_two_values_can_not_climb_either() -> None:
    with pytest.raises(ToolProblem):
        request({}, {"v": "."}, url="https://api.example.com/a/{{ v }}{{ v }}/b")


def test_a_variable_may_choose_a_host_and_an_argument_may_not() -> None:
    url = "https://{{ city }}.example.com/w"
    assert request({}, {"city": "eu-1"}, url=url).url == "https://eu-1.example.com/w"
    made = request({"city": "evil"}, {"city": "eu-1"}, url=url)
    assert made.url == "https://eu-1.example.com/w"
    with pytest.raises(ToolProblem, match="host"):
        request({"city": "evil"}, {}, url="https://{{ city }}/w")


@pytest.mark.parametrize(
    "value", ["evil.com/", "evil.com:80", "a@evil.com", "evil.com#", "é", "a b", "\\"]
)
def test_a_host_takes_only_the_signs_of_a_name(value: str) -> None:
    with pytest.raises(ToolProblem, match="can't be part of a host name"):
        request({}, {"v": value}, url="https://{{ v }}.example.com/")


def test_a_missing_variable_is_an_empty_string() -> None:
    made = request(
        {},
        {},
        method="POST",
        url="https://api.example.com/{{ a }}?b={{ b }}",
        headers=(("X-Of", "<{{ c }}>"),),
        body_template='{"d": "{{ d }}", "e": {{ e }}, "f": {{ f | default: 5 }}}',
    )
    assert made.url == "https://api.example.com/?b="
    assert made.headers[0] == ("X-Of", "<>")
    assert json.loads(made.body or b"") == {"d": "", "e": "", "f": 5}


@pytest.mark.parametrize("value", [*NASTY, "\\", '\\"', "\ud800"])
def test_a_value_in_a_json_body_stays_one_value(value: str) -> None:
    template = '{"in": "<{{ v }}>", "as": {{ v }}, "key \\" {{ v }}": 1, "end": "\\\\"}'
    body = request({}, {"v": value}, method="POST", body_template=template).body
    sent = json.loads(body or b"")
    assert sent == {"in": f"<{value}>", "as": value, f'key " {value}': 1, "end": "\\"}


@given(value=st.text(max_size=30), in_string=st.booleans())
def test_any_text_comes_back_out_of_a_json_body(value: str, in_string: bool) -> None:
    template = '{"a": "{{ v }}"}' if in_string else '{"a": {{ v }}}'
    body = request({}, {"v": value}, method="POST", body_template=template).body
    assert json.loads(body or b"") == {"a": value}


def test_numbers_objects_and_lists_are_literals_in_a_json_body() -> None:
    schema = {"type": "object", "additionalProperties": True}
    made = request(
        {"n": 2, "o": {"k": [1, None]}, "t": True, "z": None},
        method="PUT",
        input_schema=schema,
        body_template='{"n": {{ n }}, "o": {{ o }}, "t": {{ t }}, "z": {{ z }}, "s": "{{ o }}"}',
    )
    assert json.loads(made.body or b"") == {
        "n": 2, "o": {"k": [1, None]}, "t": True, "z": None, "s": '{"k":[1,null]}',
    }  # fmt: skip


def test_a_form_body_is_percent_encoded() -> None:
    form = (("Content-Type", "application/x-www-form-urlencoded"),)
    made = request({"city": "a&b"}, method="POST", headers=form)
    assert made.body == b"city=a%26b"
    made = request({"city": "a&b"}, method="POST", headers=form, body_template="q={{ city }}&x=1")
    assert made.body == b"q=a%26b&x=1"


@pytest.mark.parametrize("value", ["a\r\nEvil: 1", "a\nb", "a\x00b"])
def test_a_value_can_not_add_a_header(value: str) -> None:
    made = request({}, {"v": value}, headers=(("X-Name", "{{ v }}"),))
    assert len(made.headers) == 1
    assert not any(ord(sign) < 32 for sign in made.headers[0][1])


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        (Authorization(AuthorizationKind.NONE), ()),
        (
            Authorization(AuthorizationKind.BEARER, token="t0ken-1"),
            (("Authorization", "Bearer t0ken-1"),),
        ),
        (
            Authorization(AuthorizationKind.BASIC, username="Aladdin", password="open sesame"),
            (("Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),),
        ),
        (
            Authorization(AuthorizationKind.API_KEY_HEADER, name="X-Key", value="k3y-value"),
            (("X-Key", "k3y-value"),),
        ),
    ],
)
def test_typed_authorization_becomes_its_header(
    authorization: Authorization, expected: tuple[tuple[str, str], ...]
) -> None:
    made = request({}, authorization=authorization)
    assert made.headers == expected
    assert all(value == MASK for _, value in made.masked_headers)
    assert len(made.masked_headers) == len(expected)


def test_an_api_key_in_the_query_is_sent_and_not_shown() -> None:
    key = Authorization(AuthorizationKind.API_KEY_QUERY, name="key", value="s3cret&x")
    made = request({"city": "Pune"}, authorization=key)
    assert made.url.endswith("?city=Pune&key=s3cret%26x")
    assert made.masked_url.endswith(f"?city=Pune&key={MASK}")


def test_an_hmac_signs_time_place_and_content() -> None:
    signed = Authorization(AuthorizationKind.HMAC, secret="shared")
    made = request(
        {"city": "Pune"}, method="POST", url="https://h.example/p?q=1", authorization=signed
    )
    message = b"1700000000.POST./p?q=1." + (made.body or b"")
    digest = hmac.new(b"shared", message, hashlib.sha256).hexdigest()
    assert dict(made.headers)["Bolti-Signature"] == f"t=1700000000,v1={digest}"


def test_the_authorization_replaces_a_header_of_the_same_name() -> None:
    bearer = Authorization(AuthorizationKind.BEARER, token="right-one")
    made = request({}, headers=(("authorization", "wrong"),), authorization=bearer)
    assert made.headers == (("Authorization", "Bearer right-one"),)


def test_no_secret_is_in_the_repr_of_an_authorization() -> None:
    held = Authorization(
        AuthorizationKind.BASIC, token="S1", password="S2", value="S3", secret="S4"
    )
    assert "S" not in repr(held).removeprefix("Authorization").replace(
        "AuthorizationKind.BASIC", ""
    )
