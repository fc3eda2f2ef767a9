"""What the SDK costs over the HTTP client below it: CPU time per GET and per POST, against the same server in the same run.

The reference is the least that one writes without an SDK: `httpx2.Client` with a base URL and the key, `json=` out,
`.json()` in, an Idempotency-Key per POST. The server is a process of its own that answers from memory, so only the client's
CPU is counted. Rounds alternate, so that a busy machine slows both sides; the ratio is of the medians over the rounds.

Also: CPU time from nothing to a ready client, with the import of httpx2 and pydantic as its floor.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import httpx2
import yaml

from bolti import Bolti

CONTRACT = Path(__file__).resolve().parents[1] / "contracts" / "openapi.yaml"
API_KEY = "bolti_sk_BENCHBENCHBENCHBENCHBENCHBENCH00BENCH"
AGENT = "agent_01kavqm3t8e6zb2c4d5f7g9h1a"
CALL = {"to_number": "+12025550100", "variable_values": {"name": "Priya"}}
ROUNDS = 60
CALLS = 40
STARTS = 7

# Answers GET with an agent and POST with a call, from memory, on a connection that stays open.
SERVER = """
import socketserver, sys
agent, placed = (open(path, "rb").read() for path in sys.argv[1:3])

def answer(status, body):
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", "Request-Id: req_1"]
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\\r\\n".join(lines).encode() + body

GET, POST = answer("200 OK", agent), answer("201 Created", placed)

class Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    def handle(self):
        while line := self.rfile.readline():
            length = 0
            while (header := self.rfile.readline()) not in (b"\\r\\n", b""):
                if header.lower().startswith(b"content-length:"):
                    length = int(header.split(b":")[1])
            self.rfile.read(length)
            self.wfile.write(GET if line.startswith(b"GET") else POST)

server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(server.server_address[1], flush=True)
server.serve_forever()
"""

BARE = "import httpx2\nfrom pydantic import BaseModel\nclass A(BaseModel):\n    a: int\n"
READY = "from bolti import Bolti\nBolti(api_key='bolti_sk_x', base_url='http://127.0.0.1:1')\n"
CLOCK = (
    "import time\nbegan, cpu = time.perf_counter(), time.process_time()\n{}"
    "print(time.perf_counter() - began, time.process_time() - cpu)\n"
)


def measure() -> dict[str, float]:
    """Microseconds of CPU per call, milliseconds to a ready client, and their ratios."""
    with _Server() as url:
        bolti = Bolti(api_key=API_KEY, base_url=url)
        headers = {"Authorization": f"Bearer {API_KEY}"}
        with httpx2.Client(base_url=url, headers=headers, timeout=60) as raw, bolti:
            get = _compare(
                lambda: raw.get(f"/workspaces/current/agents/{AGENT}").json(),
                lambda: bolti.agents.get(AGENT),
            )
            post = _compare(
                lambda: raw.post(
                    f"/workspaces/current/agents/{AGENT}/outbound-call",
                    json=CALL,
                    headers={"Idempotency-Key": str(uuid4())},
                ).json(),
                lambda: bolti.agents.outbound_call(
                    AGENT, to_number="+12025550100", variable_values={"name": "Priya"}
                ),
            )
    floor, floor_cpu = _start(BARE)
    ready, ready_cpu = _start(READY)
    return {
        "raw_get_us": get[0],
        "sdk_get_us": get[1],
        "get_ratio": get[1] / get[0],
        "raw_post_us": post[0],
        "sdk_post_us": post[1],
        "post_ratio": post[1] / post[0],
        "import_of_dependencies_ms": floor,
        "ready_client_ms": ready,
        "ready_client_cpu_ratio": ready_cpu / floor_cpu,
    }


def _compare(raw: Callable[[], object], sdk: Callable[[], object]) -> tuple[float, float]:
    """Medians of both over rounds that alternate, in microseconds of CPU per call."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for call, found in zip((raw, sdk), times, strict=True):
            began = time.process_time()
            for _ in range(CALLS):
                call()
            found.append((time.process_time() - began) / CALLS * 1e6)
    return statistics.median(times[0][3:]), statistics.median(
        times[1][3:]
    )  # the first rounds warm up


def _start(code: str) -> tuple[float, float]:
    """(wall, CPU) of the best of STARTS in milliseconds: a start is disturbed upwards only."""
    found: list[tuple[float, float]] = []
    for _ in range(STARTS):
        command = [sys.executable, "-c", CLOCK.format(code)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        wall, cpu = map(float, done.stdout.split())
        found.append((wall * 1e3, cpu * 1e3))
    return min(wall for wall, _ in found), min(cpu for _, cpu in found)


class _Server:
    """A process of its own; answers are the contract's examples."""

    def __enter__(self) -> str:
        examples = yaml.safe_load(CONTRACT.read_text(encoding="utf-8"))["components"]["examples"]
        self._folder = tempfile.TemporaryDirectory(prefix="bolti-bench-")
        files: list[str] = []
        for name in ("Agent", "OutboundCall"):
            file = Path(self._folder.name) / f"{name}.json"
            file.write_text(json.dumps(examples[name]["value"]), encoding="utf-8")
            files.append(str(file))
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVER, *files], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        return f"http://127.0.0.1:{int(self._process.stdout.readline())}"

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._folder.cleanup()


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
