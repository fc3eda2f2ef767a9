"""What an LLM reads of a service's answer."""

from __future__ import annotations

import json

import msgspec
import pytest

from bolti_server.agents.tool_answers import MAX_RESULT_CHARACTERS, find, result_of
from bolti_server.agents.tool_authorization import Authorization, AuthorizationKind


def test_json_comes_through_as_data_and_text_as_text() -> None:
    assert result_of(200, None, b'{"a": [1, 2]}', None).value == {"a": [1, 2]}
    assert result_of(200, None, b"sunny, 30 C", None).value == "sunny, 30 C"
    assert result_of(200, None, b"\xff\xfe{", None).value == "��{"


def test_an_answer_without_content_says_so() -> None:
    assert (
        result_of(204, None, b"", None).value == "Done (the service answered 204 without content)."
    )


def test_a_mapping_takes_what_its_pointers_find() -> None:
    body = json.dumps({"order": {"lines": [{"sku/1": "A"}]}, "x": 1}).encode()
    mapping = {"sku": "/order/lines/0/sku~11", "nothing": "/order/none/0", "whole": ""}
    found = result_of(200, None, body, mapping).value
    assert found["sku"] == "A"
    assert found["nothing"] is None
    assert found["whole"]["x"] == 1


def test_a_mapping_on_text_is_an_error_in_plain_words() -> None:
    result = result_of(200, None, b"<html>", {"a": "/a"})
    assert result.is_error
    assert "not JSON" in result.value["error"]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (500, "failed"),
        (503, "503"),
        (404, "refused"),
        (429, "429"),
        (302, "Redirects are not followed"),
    ],
)
def test_a_bad_status_is_an_error_in_plain_words(status: int, words: str) -> None:
    result = result_of(status, "https://elsewhere.example", b'{"detail": "no such order"}', None)
    assert result.is_error
    assert words in result.value["error"]
    if 400 <= status < 500:
        assert result.value["answer"] == {"detail": "no such order"}


def test_a_large_answer_is_cut_and_says_so() -> None:
    result = result_of(200, None, json.dumps(["x" * 100] * 9_000).encode(), None)
    assert len(result.value["beginning"]) == MAX_RESULT_CHARACTERS
    assert "Only the first" in result.value["note"]


@pytest.mark.parametrize(
    "body", [b"[" * 500_000, b'{"a":' * 200_000, b'"\\ud800"', b"NaN", b"1e999"]
)
def test_an_odd_answer_is_no_exception(body: bytes) -> None:
    result = result_of(200, None, body, None)
    assert msgspec.json.encode(result.value)


def test_no_nul_character_reaches_the_database() -> None:
    body = rb'{"a": "x\u0000y\\u0000\u0000", "b\u0000": 1}'
    assert result_of(200, None, body, None).value == {"a": "xy\\u0000", "b": 1}
    assert result_of(200, None, b"a\x00b", None).value == "ab"


def test_a_pointer_into_the_wrong_kind_of_thing_finds_nothing() -> None:
    assert find([1], "/-1") is None
    assert find([1], "/" + "9" * 5_000) is None
    assert find("text", "/0") is None


def test_a_secret_is_masked_in_every_spelling() -> None:
    held = Authorization(AuthorizationKind.BASIC, username="u", password='pa"ss&word')
    echo = 'pa"ss&word pa%22ss%26word pa\\"ss&word dTpwYSJzcyZ3b3Jk short'
    assert held.mask(echo) == "••• ••• ••• ••• short"
