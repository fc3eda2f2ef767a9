"""How refusals arrive."""

from __future__ import annotations

import inspect

import pytest
from tests.sdk.conftest import API_KEY, Face
from tests.sdk.support.contract import schemas
from tests.sdk.support.scripted_server import Reply, json_reply, problem

import bolti
from bolti import _error_codes, _errors

AGENT = "agent_01kavqm3t8e6zb2c4d5f7g9h1a"


async def refused(face: Face, reply: Reply) -> bolti.ApiError:
    face.server.answers = [reply]
    with pytest.raises(bolti.ApiError) as caught:
        await face(lambda client: client.agents.outbound_call(AGENT, to_number="+1"), max_retries=0)
    return caught.value


def test_every_code_of_the_contract_has_a_class_of_its_own_status() -> None:
    assert set(_error_codes.BY_CODE) == set(schemas()["ProblemCode"]["enum"])


def test_every_class_is_public_and_says_what_it_is() -> None:
    for name, kind in vars(_errors).items():
        if inspect.isclass(kind) and issubclass(kind, Exception):
            assert getattr(bolti, name) is kind
            assert name in bolti.__all__
            assert kind.__doc__


@pytest.mark.parametrize(
    ("code", "status", "kind", "extra"),
    [
        ("missing_variables", 400, bolti.MissingVariables, {"missing": ["name", "city"]}),
        (
            "payment_required",
            402,
            bolti.PaymentRequired,
            {
                "balance_micros": 5,
                "required_micros": 7,
                "currency": "INR",
                "top_up_url": "https://x",
            },
        ),
        ("callee_already_in_call", 409, bolti.CalleeAlreadyInCall, {"conversation_id": "conv_1"}),
        ("insufficient_scope", 403, bolti.InsufficientScope, {"required_scope": "calls:write"}),
        (
            "outside_calling_window",
            422,
            bolti.OutsideCallingWindow,
            {"next_allowed_at": "2026-11-26T03:30:00.000Z"},
        ),
        (
            "recording_not_available",
            404,
            bolti.RecordingNotAvailable,
            {"recording_status": "pending"},
        ),
    ],
)
async def test_extras_are_typed_attributes(
    face: Face, code: str, status: int, kind: type[bolti.ApiError], extra: dict[str, object]
) -> None:
    error = await refused(face, problem(code, status, **extra))
    assert type(error) is kind
    assert (error.code, error.status, error.request_id) == (code, status, "req_test")
    for name, value in extra.items():
        found = getattr(error, name)
        assert (list(found) if isinstance(found, tuple) else found) == value
        assert error.extras[name] == value


async def test_an_absent_extra_is_none_and_an_unknown_one_is_kept(face: Face) -> None:
    error = await refused(face, problem("payment_required", 402, colour="red"))
    assert isinstance(error, bolti.PaymentRequired)
    assert error.balance_micros is None
    assert error.extras == {"colour": "red"}


async def test_everything_that_is_wrong_is_told(face: Face) -> None:
    faults = [
        {"pointer": "/to_number", "detail": "Is not E.164.", "code": "invalid_phone_number"},
        {"pointer": "", "detail": "The agent is inactive.", "code": "agent_inactive"},
    ]
    error = await refused(face, problem("validation_failed", 400, errors=faults))
    assert error.codes == {"validation_failed", "invalid_phone_number", "agent_inactive"}
    assert "/to_number: Is not E.164." in str(error)
    assert "The agent is inactive." in str(error)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, bolti.BadRequest),
        (409, bolti.Conflict),
        (418, bolti.ApiError),
        (422, bolti.Unprocessable),
        (599, bolti.ServerError),
    ],
)
async def test_a_new_code_arrives_as_the_class_of_its_status(
    face: Face, status: int, kind: type[bolti.ApiError]
) -> None:
    error = await refused(face, problem("brand_new", status))
    assert type(error) is kind
    assert error.code == "brand_new"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(502, b"<html><h1>Bad gateway</h1>", {"Content-Type": "text/html"}),
        Reply(502, b"", {}),
        Reply(502, b'{"error": "no"}', {"Content-Type": "application/json"}),
        Reply(502, b"{", {"Content-Type": "application/problem+json"}),
    ],
)
async def test_what_a_proxy_says_is_an_api_error_too(face: Face, reply: Reply) -> None:
    error = await refused(face, reply)
    assert isinstance(error, bolti.ServerError)
    assert error.code == "http_502"
    assert "<h1>" not in str(error)


async def test_a_redirect_is_not_followed(face: Face) -> None:
    target = f"{face.server.base_url}/elsewhere"
    error = await refused(face, Reply(307, b"", {"Location": target}))
    assert target in str(error)
    assert len(face.server.received) == 1


async def test_no_message_holds_the_key_even_where_the_server_repeats_it(face: Face) -> None:
    faults = [{"pointer": "", "detail": f"bad {API_KEY}", "code": "x"}]
    for reply in (
        problem("unauthenticated", 401, detail=f"{API_KEY} is unknown.", errors=faults),
        Reply(500, f"Authorization: Bearer {API_KEY}".encode(), {"Content-Type": "text/plain"}),
    ):
        error = await refused(face, reply)
        assert API_KEY not in f"{error} {error!r} {error.detail} {error.errors} {error.extras}"


async def test_a_bad_key_says_where_it_came_from(face: Face) -> None:
    error = await refused(face, problem("unauthenticated", 401))
    assert isinstance(error, bolti.Unauthenticated)
    assert "The key came from api_key." in str(error)


@pytest.mark.parametrize("body", [b"", b"no", b"[]", b"{}", b'{"id": 7}'])
async def test_a_success_that_is_no_answer_of_this_api_is_told_as_that(
    face: Face, body: bytes
) -> None:
    face.server.answers = [Reply(200, body, {"Request-Id": "req_9"})]
    with pytest.raises(bolti.UnexpectedAnswer, match="base URL") as caught:
        await face(lambda client: client.agents.get(AGENT))
    assert caught.value.request_id == "req_9"


async def test_a_degraded_server_is_an_answer(face: Face) -> None:
    face.server.answers = [
        json_reply({"status": "degraded", "version": "0.1.0", "database": "unavailable"}, 503)
    ]
    assert (await face(lambda client: client.health.get())).status == "degraded"
