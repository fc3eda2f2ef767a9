"""Draws the turns of each scenario in examples/scenarios as docs/guides/pictures/<name>.svg.

    python tools/draw_scenarios.py            writes them
    python tools/draw_scenarios.py --check    exit code 1 when they are not what the scenarios say now

Rule: nothing in a picture comes from a run, so that it is the same everywhere: the callee's side is the scenario's steps,
the agent's side is its greeting and what its rules answer to them (`simulated.rules`, as in a call).
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple
from xml.sax.saxutils import escape

import msgspec

from bolti_server.simulated.rules import ENDS_THE_CALL, Rules
from bolti_server.simulated.scenarios.parsing import parse
from bolti_server.simulated.scenarios.scenario import EndsWith, Scenario, Step
from bolti_server.worker_api.messages import LlmRule

ROOT = Path(__file__).resolve().parents[1]
SCENARIOS = ROOT / "examples" / "scenarios"
PICTURES = ROOT / "docs" / "guides" / "pictures"

WIDTH, MARGIN, LINE, PADDING, GAP = 720, 16, 18, 10, 10
BUBBLE, LETTERS = 400, 50
COLORS = {
    "callee": "#e8eef7",
    "agent": "#dff3e4",
    "ink": "#1d2733",
    "faint": "#66717f",
    "page": "#ffffff",
}
CALLEE_HUNG_UP = "remote_hangup"
_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*(?:\|[^}]*)?\}\}")

Side = Literal["callee", "agent", "line"]


class Drawn(NamedTuple):
    """A bubble of one side, or (`line`) a remark in the middle. `note` stands under the words."""

    side: Side
    text: str
    note: str = ""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--check", action="store_true", help="write nothing; say what is out of date"
    )
    is_check = parser.parse_args().check
    wanted = pictures()
    is_stale = False
    for path in sorted({*wanted, *PICTURES.glob("*.svg")}):
        content = wanted.get(path)
        if path.exists() and content == path.read_text(encoding="utf-8"):
            continue
        is_stale = True
        print(f"{'out of date' if is_check else 'drawn'}: {path.relative_to(ROOT)}")
        if is_check:
            continue
        if content is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
    return 1 if is_check and is_stale else 0


def pictures() -> dict[Path, str]:
    """What is to be in each file."""
    return {
        PICTURES / f"{path.stem}.svg": draw(parse(path.read_text(encoding="utf-8")))
        for path in sorted(SCENARIOS.glob("*.yaml"))
    }


# ---- what happens ----


class _Agent:
    """What the agent that a scenario carries says, by its settings."""

    def __init__(self, scenario: Scenario) -> None:
        self._values = scenario.variable_values
        settings: dict[str, Any] = dict(scenario.agent or {})
        model = settings.get("llm", {})
        rules = msgspec.convert(model.get("rules", []), list[LlmRule])
        self._rules = Rules(rules, model.get("default_reply"))
        self.tools = settings.get("built_in_tools", [ENDS_THE_CALL])
        self.greeting = self._resolved(settings.get("first_message") or "")
        mailbox = settings.get("voicemail", {})
        leaves_message = mailbox.get("behaviour") == "leave_message"
        self.message = self._resolved(mailbox.get("message") or "") if leaves_message else ""

    def reply(self, heard: str) -> Drawn:
        answer = self._rules.answer(heard, self.tools, has_result=False)
        if answer.tool is None:
            return Drawn("agent", answer.say or "")
        given = ", ".join(f"{name}: {value}" for name, value in answer.arguments.items())
        return Drawn("agent", answer.say or "", f"→ {answer.tool}({given})")

    def _resolved(self, text: str) -> str:
        return _VARIABLE.sub(lambda match: str(self._values.get(match[1], "")), text)


def happenings(scenario: Scenario) -> Iterator[Drawn]:
    """From the first ring to the end, in order."""
    if scenario.ring_ms is None:
        yield Drawn("line", "rings until the agent gives up")
    elif scenario.ring_ms > 0:
        yield Drawn("line", f"rings for {_seconds(scenario.ring_ms)}")
    if scenario.failure is not None:
        yield Drawn("line", f"not answered: {scenario.failure.code}")
    elif scenario.ring_ms is not None:
        yield Drawn("line", "answered")
        yield from _talk(scenario, _Agent(scenario))
    for expectation in scenario.expectations:
        if isinstance(expectation, EndsWith):
            yield Drawn("line", f"ends with {expectation.code}")


def _talk(scenario: Scenario, agent: _Agent) -> Iterator[Drawn]:
    waiting = Drawn("agent", agent.greeting) if agent.greeting else None
    if agent.message:
        waiting = None  # a mailbox speaks at once, and the agent lets it
    for step in scenario.steps:
        if step.verb == "wait_for_voice" and waiting is not None:
            words = waiting.text.split()
            waiting = Drawn(
                "agent", " ".join(words[: max(3, (step.ms or 0) // 350)]) + " …", "is interrupted"
            )
        if waiting is not None and step.verb not in ("ring", "noise"):
            yield waiting
            waiting = None
        yield from _done(step)
        if step.verb == "say" and not agent.message:
            waiting = agent.reply(step.text)
        elif step.verb == "beep" and agent.message:
            waiting = Drawn("agent", agent.message, "hangs up")
    if waiting is not None:
        yield waiting
    if any(
        isinstance(each, EndsWith) and each.code == CALLEE_HUNG_UP for each in scenario.expectations
    ):
        yield Drawn("line", "the callee hangs up")


def _done(step: Step) -> Iterator[Drawn]:
    match step.verb:
        case "say":
            yield Drawn("callee", step.text)
        case "press":
            yield Drawn("callee", f"presses {step.text}")
        case "beep":
            yield Drawn("callee", "beep")
        case "silence":
            yield Drawn("line", f"the callee is silent for {_seconds(step.ms or 0)}")
        case "noise" if step.level > 0:
            yield Drawn("line", "there is noise behind the callee")
        case _:
            return


def _seconds(ms: int) -> str:
    return f"{ms / 1000:g} s"


# ---- the picture ----


def draw(scenario: Scenario) -> str:
    """An SVG with the callee at the left and the agent at the right."""
    parts: list[str] = []
    y = MARGIN + LINE
    parts.append(_text(MARGIN, y, "callee", "faint", "start"))
    parts.append(_text(WIDTH / 2, y, scenario.name, "ink", "middle", weight="600"))
    parts.append(_text(WIDTH - MARGIN, y, "agent", "faint", "end"))
    y += LINE
    for drawn in happenings(scenario):
        shape, height = _shape(drawn, y)
        parts += shape
        y += height + GAP
    height = y + MARGIN - GAP
    label = escape(f"The turns of the scenario {scenario.name}", {'"': "&quot;"})
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="system-ui, sans-serif" font-size="14" role="img" aria-label="{label}">'
    )
    page = f'<rect width="{WIDTH}" height="{height}" rx="8" fill="{COLORS["page"]}"/>'
    return "\n".join([head, page, *parts, "</svg>", ""])


def _shape(drawn: Drawn, y: int) -> tuple[list[str], int]:
    """(elements, height)"""
    if drawn.side == "line":
        return [_text(WIDTH / 2, y + LINE - 4, f"— {drawn.text} —", "faint", "middle")], LINE
    lines = textwrap.wrap(drawn.text, LETTERS)
    height = 2 * PADDING + LINE * (len(lines) + bool(drawn.note))
    x = MARGIN if drawn.side == "callee" else WIDTH - MARGIN - BUBBLE
    shape = [
        f'<rect x="{x}" y="{y}" width="{BUBBLE}" height="{height}" rx="10" fill="{COLORS[drawn.side]}"/>'
    ]
    at = y + PADDING + LINE - 5
    for line in lines:
        shape.append(_text(x + PADDING + 2, at, line, "ink", "start"))
        at += LINE
    if drawn.note:
        shape.append(_text(x + PADDING + 2, at, drawn.note, "faint", "start"))
    return shape, height


def _text(x: float, y: float, text: str, color: str, anchor: str, weight: str = "") -> str:
    bold = f' font-weight="{weight}"' if weight else ""
    return f'<text x="{x:g}" y="{y:g}" fill="{COLORS[color]}" text-anchor="{anchor}"{bold}>{escape(text)}</text>'


if __name__ == "__main__":
    sys.exit(main())
