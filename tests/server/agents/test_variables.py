"""Variables: what is required, what is inserted, and what an LLM can never get to see."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bolti_server.agents.variables import (
    BUILT_IN,
    required_names,
    resolve,
    substitute,
    unreadable_parts,
)


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("Hi {{ name }}!", {"name": "Asha"}, "Hi Asha!"),
        ("Hi {{name}}!", {"name": "Asha"}, "Hi Asha!"),
        ("Hi {{\n\t name \n}}!", {"name": "Asha"}, "Hi Asha!"),
        ('Hi {{ name | default: "there" }}!', {}, "Hi there!"),
        ("Hi {{ name | default: 'there' }}!", {}, "Hi there!"),
        ('Hi {{name|default:"there"}}!', {}, "Hi there!"),
        ('Hi {{ name | default: "there" }}!', {"name": "Asha"}, "Hi Asha!"),
        ('Hi {{ name | default: "there" }}!', {"name": ""}, "Hi there!"),
        ('{{ a | default: "it\'s }} fine" }}', {}, "it's }} fine"),
        ('{{ a | default: "" }}|', {}, "|"),
        ("{{ n | default: 5 }} {{ m | default: -2.5 }} {{ t | default: true }}", {}, "5 -2.5 true"),
        ("नमस्ते {{ नाम }}, {{ größe }}", {"नाम": "आशा", "größe": "5"}, "नमस्ते आशा, 5"),
        ("{{ cafe\u0301 }}", {"caf\u00e9": "one name"}, "one name"),
        ("{{ order.id }} {{ first-name }}", {"order.id": 7, "first-name": "A"}, "7 A"),
        ("{{ a }}{{ b }}{{ a }}", {"a": 1, "b": 2.0}, "121"),
        (
            "{{ yes }} {{ no }} {{ half }}",
            {"yes": True, "no": False, "half": 0.5},
            "true false 0.5",
        ),
        ("{{ missing }}.", {}, "."),
        ('Answer as {"a": {"b": 1}}', {}, 'Answer as {"a": {"b": 1}}'),
        ('{"age": {{ age }}}', {"age": 3}, '{"age": 3}'),
        ("{{{ a }}}", {"a": "x"}, "{x}"),
    ],
)
def test_a_tag_becomes_its_value(text: str, values: dict[str, str], expected: str) -> None:
    assert resolve(text, values) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ name", "{ name"),
        ("Hi {{ name } there", "Hi { name } there"),
        ("{{ name | upcase }} x", " x"),
        ("{{ }} x", " x"),
        ("{{}} x", " x"),
        ("{{ a b }} x", " x"),
        ('{{ a | default: there }} {{ b | default: "open }}', " "),
        ("}} {{ a }}", "}} 1"),
        ("{{ {{ a }} }}", "{ 1 }}"),
        ("{% if a %}{{ a }}{% endif %}", "{% if a %}1{% endif %}"),
    ],
)
def test_what_is_no_tag_leaves_no_double_brace(text: str, expected: str) -> None:
    assert resolve(text, {"a": 1}) == expected


def test_a_value_is_never_read_as_a_template() -> None:
    values = {"a": "{{ secret }}", "secret": "S3", "b": "{", "c": "{ secret }}"}
    assert resolve("{{ a }}", values) == "{ secret }}"
    assert resolve("{{ b }}{{ c }}", values) == "{ secret }}"
    assert substitute("{{ a }}", values, lambda _tag, value: str(value)) == "{{ secret }}"


def test_required_are_the_names_without_a_default_in_order_and_once() -> None:
    texts = [
        '{{ city }} {{ name | default: "there" }} {{ to_number }}',
        "{{ name }} {{ city }} {{ amount }}",
    ]
    assert required_names(texts) == ["city", "name", "amount"]


def test_built_in_variables_are_never_required() -> None:
    assert required_names(["{{ " + name + " }}" for name in sorted(BUILT_IN)]) == []
    assert len(BUILT_IN) == 12


def test_people_are_told_what_can_not_be_read() -> None:
    assert unreadable_parts('{{ ok }} {{ a | upcase }} {{ b | default: "x" }} {{ open') == [
        "{{ a | upcase }}",
        "{{ open",
    ]
    assert unreadable_parts('{"a": {"b": "{{ c }}"}}') == []


WORDS = st.sampled_from(
    ["{{", "}}", "{", "}", " ", "\n", "a", "b", "|", "default", ":", '"', "'", "{{ a }}", "é", "\\"]
)
TEXTS = st.lists(WORDS, max_size=40).map("".join) | st.text(max_size=60)


@given(text=TEXTS, a=TEXTS, b=TEXTS)
def test_an_llm_never_sees_an_opening_tag(text: str, a: str, b: str) -> None:
    assert "{{" not in resolve(text, {"a": a, "b": b})


@given(
    before=st.text(alphabet="xyz {\n", max_size=20),
    value=st.text(alphabet="ab{}|'\" ", max_size=20),
)
def test_a_value_comes_through_unchanged(before: str, value: str) -> None:
    text = before.replace("{{", "") + "|{{ a }}|"
    pieces = substitute(text, {"a": value}, lambda _tag, given_value: str(given_value))
    assert pieces == before.replace("{{", "") + "|" + value + "|"


@given(names=st.lists(st.text(alphabet="abc_é9", min_size=1, max_size=5), max_size=6))
def test_with_all_required_values_given_nothing_is_missing(names: list[str]) -> None:
    text = " ".join("{{ " + name + " }}" for name in names)
    values = {name: f"<{name}>" for name in required_names([text])}
    assert resolve(text, values).count("<") == len(names)


@pytest.mark.parametrize(
    "piece",
    ["{{", "{{ ", "{{ a", "{{ a |", '{{ a | default: "', "{{ a | default: '", " ", "a", "}}", "{"],
)
@pytest.mark.parametrize("is_opened", [True, False])
def test_a_megabyte_of_anything_takes_linear_time(piece: str, is_opened: bool) -> None:
    text = ("{{ a" if is_opened else "") + piece * (1_000_000 // len(piece))
    started = time.perf_counter()
    assert "{{" not in resolve(text, {"a": "x"})
    required_names([text])
    unreadable_parts(text)
    assert time.perf_counter() - started < 3.0  # quadratic would take minutes
