"""A measurement that needs the stack runs in a network namespace of its own, which tools/stack.py makes.

The same module is run there as a program; its figures come back by a file.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def figures_of(module: str) -> dict[str, float]:
    """What `main` of that module tells, from inside."""
    command = [sys.executable, str(ROOT / "tools" / "stack.py"), "--run", sys.executable, "-m"]
    with tempfile.NamedTemporaryFile("r", prefix="bolti-bench-") as out:
        subprocess.run([*command, module, out.name], cwd=ROOT, check=True)
        figures: dict[str, float] = json.load(out)
    return figures


def main(measure_here: Callable[[Path], Awaitable[dict[str, float]]]) -> None:
    """In the namespace: prints the figures, and writes them to the file that is named."""

    async def measure() -> dict[str, float]:
        with tempfile.TemporaryDirectory(prefix="bolti-bench-") as made:
            return await measure_here(Path(made))

    told = asyncio.run(measure())
    print(json.dumps(told, indent=1))
    if sys.argv[1:]:
        Path(sys.argv[1]).write_text(json.dumps(told), encoding="utf-8")
