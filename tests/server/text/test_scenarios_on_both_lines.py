"""The library of scenarios, placed over the API and carried by a whole worker, with sound and by text: the same record."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import yaml
from litestar import Litestar
from tests.server.conftest import Home
from tests.server.support.calls_public import Desk, make_desk
from tests.server.support.voice_calls import Stage
from tests.server.support.whole_worker import ended, running

from bolti_server.world import World

LIBRARY = sorted((Path(__file__).resolve().parents[3] / "examples" / "scenarios").glob("*.yaml"))
LINES = ("audio", "text")
ALL_SECONDS = 200.0


async def test_every_scenario_of_the_library_comes_to_the_same_on_both_lines(
    world: World,
    client: httpx2.AsyncClient,
    home: Home,
    app: Litestar,
    stage: Stage,
    tmp_path: Path,
) -> None:
    assert len(LIBRARY) == 12
    calls: dict[tuple[str, str], tuple[Desk, str]] = {}
    for index, file in enumerate(LIBRARY):
        script = await asyncio.to_thread(file.read_text, encoding="utf-8")
        scenario = yaml.safe_load(script)
        desk = await make_desk(
            world,
            client,
            home.workspace_id,
            from_number=f"+12025550{150 + index}",
            **scenario["agent"],
        )
        for line in LINES:
            # Each to a number of its own: one callee does not want to be called again.
            number = f"+12025550{120 + len(calls)}"
            values = scenario.get("variable_values", {})
            simulation = {"script": script, "line": line}
            placed = await desk.placed(number, variable_values=values, simulation=simulation)
            calls[file.stem, line] = desk, placed
    async with (
        running(app, tmp_path, stage.models, worker_capacity=6),
        asyncio.timeout(ALL_SECONDS),
    ):
        records = {
            key: await ended(desk, placed, seconds=ALL_SECONDS)
            for key, (desk, placed) in calls.items()
        }

    assert {record["simulation"]["verdict"] for record in records.values()} == {"passed"}
    for file in LIBRARY:
        audio, text = (records[file.stem, line] for line in LINES)
        assert (audio["line"], text["line"]) == LINES
        assert outcome(text) == outcome(audio), file.stem
    codes = {key: record["hangup"]["code"] for key, record in records.items()}
    assert codes["06-voicemail", "text"] == "voicemail"
    assert records["06-voicemail", "text"]["hangup"]["retryable"] is False, "a message was left"
    assert [turn["dtmf"] for turn in records["07-menu", "text"]["transcript"] if turn["dtmf"]] == [
        "2"
    ]


def outcome(record: dict[str, Any]) -> dict[str, Any]:
    """What docs/guides/text-line.md does not list as what may differ."""
    return {
        "status": record["status"],
        "hangup": record["hangup"],
        "expectations": [
            (each["line"], each["is_met"]) for each in record["simulation"]["expectations"]
        ],
        "transcript": [_turn(turn) for turn in record["transcript"]],
    }


def _turn(turn: dict[str, Any]) -> tuple[Any, ...]:
    words = None if turn["is_interrupted"] else turn["text"]
    tools = [(each["name"], each["arguments"], each["is_error"]) for each in turn["tool_calls"]]
    return turn["role"], words, turn["dtmf"], turn["is_interrupted"], tools
