"""The longest silence that a callee hears when a vendor of models fails in the call, fault by fault.

`python -m bench.vendor_faults [words of a row …]` prints the table and writes nothing. Every row is a whole call through
the real plugins, against counterparts of the vendors on loopback; the silence is measured on the line, from the answer
to the end, by the samples that were played. The same rows are the test tests/server/voice/test_vendor_faults.py.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.server.support.vendor_faults import LONGEST_SILENCE_MS, Played, Row, Table, rows

from bolti_server.bootstrap.call_models import build_models, warm
from bolti_server.simulated.voices import start_voices, stop_voices


def main(words: list[str]) -> int:
    wanted = [row for row in rows() if all(word in row.id for word in words)]
    return asyncio.run(_table(wanted))


async def _table(wanted: list[Row]) -> int:
    models = build_models()
    await start_voices()
    await warm(models.vad)
    longest = 0
    with tempfile.TemporaryDirectory(prefix="bolti-bench-") as folder:
        table = Table(models, Path(folder), wanted)
        print("| fault | longest silence | end | heard |")
        print("|---|---|---|---|")
        for row in wanted:
            played = await table.of(row)
            longest = max(longest, played.longest_silence_ms)
            print(_line(played), flush=True)
    await stop_voices()
    print(f"\nlongest: {longest / 1000:.2f} s; it may be {LONGEST_SILENCE_MS / 1000:.0f} s")
    return int(longest > LONGEST_SILENCE_MS)


def _line(played: Played) -> str:
    heard = " / ".join(played.heard)
    return (
        f"| {played.row.id} | {played.longest_silence_ms / 1000:.2f} s | {played.code} | {heard} |"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
