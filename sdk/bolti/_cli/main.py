"""`bolti`: one command so far, `bolti test`.

Exit codes: 0 every scenario passed; 1 a scenario failed; 2 a scenario or a setting is broken, so that something was not
tried; 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from bolti._cli import testing
from bolti._errors import BoltiError

_TEST = """\
Call a simulated callee for each scenario, all against the agent under test, and say whether it did what the scenario
expects. The server is the one of the profile that `bolti-server dev` wrote, or BOLTI_BASE_URL with BOLTI_API_KEY.

A scenario that carries its own agent (`agent:`) gets a new one from that, which is deleted afterwards. Without it, or to
test an agent that you have, name one with --agent.
"""
_EPILOG = """\
exit codes: 0 all passed, 1 some failed, 2 something is broken (a scenario, a setting), 130 interrupted
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and exits with its code."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """The exit code. argparse exits by itself for --help and for what it can't read."""
    options = _parser().parse_args(arguments)
    try:
        return testing.test(
            testing.Options(
                paths=tuple(options.scenarios),
                agent_id=options.agent,
                parallel=options.parallel,
                junit=options.junit,
                line=options.line,
                timeout_seconds=options.timeout,
            ),
            sys.stdout,
        )
    except BoltiError as error:
        sys.stderr.write(f"bolti: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("bolti: interrupted\n")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bolti", description="Bolti's command line.")
    parser.add_argument("--version", action="version", version=f"bolti {version('bolti')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    test = commands.add_parser(
        "test",
        help="try an agent with scenarios",
        description=_TEST,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    test.add_argument(
        "scenarios",
        nargs="+",
        type=Path,
        metavar="SCENARIO",
        help="a YAML file, or a folder of them",
    )
    test.add_argument(
        "--agent", metavar="ID", help="the agent to test, in place of the scenarios' own"
    )
    test.add_argument(
        "--parallel", type=_parallel, default=4, metavar="N", help="calls at once (default 4)"
    )
    test.add_argument("--junit", type=Path, metavar="FILE", help="write the outcome as JUnit XML")
    test.add_argument(
        "--line",
        choices=("audio", "text", "room"),
        help="real sound in real time (the default), words alone, at once, or a LiveKit room, like a real call",
    )
    test.add_argument(
        "--timeout",
        type=_seconds,
        default=600.0,
        metavar="SECONDS",
        help="longest wait for one call (default 600)",
    )
    return parser


def _parallel(text: str) -> int:
    number = int(text)
    if not 1 <= number <= testing.MOST_PARALLEL:
        raise argparse.ArgumentTypeError(f"1 to {testing.MOST_PARALLEL}")
    return number


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 1 <= seconds <= 14_400:
        raise argparse.ArgumentTypeError("1 to 14400")
    return seconds
