"""Runs the measurements and writes bench/RESULTS.md: `python3 noxfile.py bench [name …]`.

Times on these machines are noisy, so what counts are the ratios: each is taken against a named reference within one run.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import bench.call_starts
import bench.dev_start
import bench.inbound_sip
import bench.rooms
import bench.sdk_overhead
import bench.text_line
import bench.turns
from bench.not_here import NotHere

RESULTS = Path(__file__).resolve().parent / "RESULTS.md"

# Name → (what measures, what must hold: (figure, sign, bound)).
PARTS: dict[str, tuple[Callable[[], dict[str, float]], list[tuple[str, str, float]]]] = {
    "turns": (
        bench.turns.measure,
        [
            ("own_share_without_delays_p95_ms", "<=", 80),
            ("own_share_p95_ms", "<=", 80),
            ("answer_to_first_audio_p50_ms", "<=", 300),
            ("ten_calls_to_one_ratio", "<=", 2.5),
        ],
    ),
    "call_starts": (bench.call_starts.measure, [("ratio_to_bare", ">=", 0.7)]),
    "text_line": (
        bench.text_line.measure,
        [("whole_calls_per_minute", ">=", 2000), ("cpu_ms_per_call", "<=", 60)],
    ),
    "dev_start": (
        bench.dev_start.measure,
        [("first_start_seconds", "<=", 5), ("next_start_seconds", "<=", 2)],
    ),
    "rooms": (
        bench.rooms.measure,
        [
            ("accepted_to_dial_p95_ms", "<=", 500),
            ("answered_to_speaking_p50_ms", "<=", 150),
            ("turn_in_a_room_more_ms", "<=", 50),
            ("calls_per_core_to_bare_ratio", ">=", 0.9),
            ("kill_to_next_agent_p95_ms", "<=", 2000),
        ],
    ),
    "inbound_sip": (bench.inbound_sip.measure, [("invite_to_speaking_p50_ms", "<=", 600)]),
    "sdk_overhead": (
        bench.sdk_overhead.measure,
        [("get_ratio", "<=", 1.10), ("post_ratio", "<=", 1.10)],
    ),
}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        print(f"There is no measurement {', '.join(unknown)}. There are: {', '.join(PARTS)}.")
        return 2
    sections = [section(name) for name in names or PARTS]
    text = "\n".join([heading(), *sections])
    print(text)
    if not names:
        RESULTS.write_text(text, encoding="utf-8")
        print(f"wrote {RESULTS}")
    return 1 if "**no**" in text else 0


def heading() -> str:
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    ).stdout.strip()
    machine = (
        f"{platform.machine()}, {platform.python_implementation()} {platform.python_version()}"
    )
    return (
        f"# Measured\n\n`python3 noxfile.py bench` on {datetime.now(UTC):%Y-%m-%d}, commit {commit}, {machine}. "
        "Two cores shared by client, server, worker and database. Ratios are what counts: each within one run, against "
        "the reference that the part's file in bench/ names.\n"
    )


def section(name: str) -> str:
    print(f"Measuring {name} …", flush=True)
    measure, bounds = PARTS[name]
    lines = [f"## {name}\n", (sys.modules[measure.__module__].__doc__ or "").strip() + "\n"]
    try:
        figures = measure()
    except NotHere as reason:
        return "\n".join([*lines, f"NOT MEASURED: {reason}.\n"])
    wanted = {figure: (sign, bound) for figure, sign, bound in bounds}
    lines += ["| figure | measured | wanted | |", "|---|---|---|---|"]
    for figure, value in figures.items():
        sign, bound = wanted.get(figure, ("", 0.0))
        verdict = "" if not sign else "yes" if holds(value, sign, bound) else "**no**"
        lines.append(
            f"| {figure} | {value:.4g} | {f'{sign} {bound:g}' if sign else ''} | {verdict} |"
        )
    return "\n".join(lines) + "\n"


def holds(value: float, sign: str, bound: float) -> bool:
    return value <= bound if sign == "<=" else value >= bound


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
