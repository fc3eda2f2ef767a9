"""What others see of the package: no HTTP library, two faces alike, quick to import."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import bolti

ROOT = Path(__file__).resolve().parents[2]
FACES = [bolti.Bolti, bolti.AsyncBolti]
BARE = "import httpx2\nfrom pydantic import BaseModel\nclass A(BaseModel):\n    a: int\n"
READY = "from bolti import Bolti\nBolti(api_key='bolti_sk_x', base_url='http://127.0.0.1:1')\n"
CLOCK = "import time\nbegan = time.process_time()\n{}print(time.process_time() - began)\n"


def public_things() -> Iterator[tuple[str, Any]]:
    """Everything that can be called or read without an underscore, from the package down."""
    for name in bolti.__all__:
        yield f"bolti.{name}", getattr(bolti, name)
    for name in bolti.webhooks.__all__:
        yield f"bolti.webhooks.{name}", getattr(bolti.webhooks, name)
    for face in FACES:
        client = face(api_key="bolti_sk_x", base_url="http://127.0.0.1:1")
        for name, resource in vars(client).items():
            if not name.startswith("_"):
                yield f"{face.__name__}.{name}", type(resource)


def public_functions() -> Iterator[tuple[str, Any]]:
    for name, thing in public_things():
        if inspect.isclass(thing) and not issubclass(thing, BaseModel):
            for member, value in inspect.getmembers(thing):
                function = value.fget if isinstance(value, property) else value
                is_public = not member.startswith("_") or member in (
                    "__init__",
                    "__iter__",
                    "__enter__",
                )
                if is_public and inspect.isfunction(function):
                    yield f"{name}.{member}", function
        elif inspect.isfunction(thing):
            yield name, thing


def test_no_type_of_the_http_library_is_in_a_public_annotation() -> None:
    looked_at = 0
    for name, function in public_functions():
        for hint in typing.get_type_hints(
            function, vars(sys.modules[function.__module__])
        ).values():
            looked_at += 1
            assert "httpx" not in repr(hint), name
            assert "httpcore" not in repr(hint), name
    assert looked_at > 200


def test_no_public_class_comes_from_the_http_library() -> None:
    for name, thing in public_things():
        for kind in thing.__mro__ if inspect.isclass(thing) else ():
            assert not kind.__module__.startswith(("httpx", "httpcore")), name


def test_every_public_name_is_there_once() -> None:
    assert len(set(bolti.__all__)) == len(bolti.__all__)


def test_the_two_faces_take_the_same_arguments() -> None:
    sides = [
        {
            name.replace("AsyncBolti", "Bolti"): list(
                inspect.signature(function).parameters.values()
            )
            for name, function in public_functions()
            if name.startswith(f"{face.__name__}.") and not name.endswith("__init__")
        }
        for face in FACES
    ]
    assert sides[0]
    assert str(sides[0]) == str(sides[1])


def test_the_synchronous_face_is_made_from_the_asynchronous_one() -> None:
    done = subprocess.run(
        [sys.executable, "tools/unasync.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(bolti.__file__).parent / "py.typed").exists()


def test_importing_loads_neither_server_nor_transport() -> None:
    """The HTTP transport costs 0.1 s and is made at the first request."""
    code = READY + "import sys, json\nprint(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(run(code))
    assert not {"bolti_server", "httpcore2", "anyio", "h11", "rich"} & set(loaded)


def test_a_ready_client_costs_little_more_than_its_two_dependencies() -> None:
    """A ratio, because machines differ (bench/sdk_overhead.py has the milliseconds); the best of three each."""
    bare = min(float(run(CLOCK.format(BARE))) for _ in range(3))
    ready = min(float(run(CLOCK.format(READY))) for _ in range(3))
    assert ready / bare < 1.6


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


@pytest.mark.parametrize("face", FACES)
def test_a_client_names_all_its_resources(face: Any) -> None:
    client = face(api_key="bolti_sk_x", base_url="http://127.0.0.1:1")
    names = {name for name in vars(client) if not name.startswith("_")}
    assert names == {
        "agents",
        "agent_phone_numbers",
        "agent_versions",
        "api_keys",
        "billing",
        "catalogue",
        "conversations",
        "do_not_call",
        "events",
        "health",
        "numbers",
        "tools",
        "trunks",
        "webhook_endpoints",
        "workspace",
    }
