"""`dev` from nothing (initdb, migrations and first data included) to an answering API, and the next time.

Reference in the same run: a Python that only imports the web half of the server, the floor that no work on `dev` can go
under.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bolti_server.entrypoints.dev_child import DevChild

ROUNDS = 3


def measure() -> dict[str, float]:
    """Medians of ROUNDS in seconds, and the ratio of the next start to the bare import."""
    first: list[float] = []
    again: list[float] = []
    floor: list[float] = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", "import bolti_server.bootstrap.web, uvicorn"], check=True
        )
        floor.append(time.perf_counter() - began)
        with tempfile.TemporaryDirectory(prefix="bolti-bench-") as folder:
            for found in (first, again):
                with DevChild(Path(folder)) as running:
                    found.append(running.seconds_to_answer)
    return {
        "first_start_seconds": statistics.median(first),
        "next_start_seconds": statistics.median(again),
        "import_seconds": statistics.median(floor),
        "next_start_to_import_ratio": statistics.median(again) / statistics.median(floor),
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
