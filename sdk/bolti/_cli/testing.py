"""`bolti test`: scenarios against an agent, several at once, over the public API.

Rules: an agent that a scenario carries is made for it and deleted afterwards. All of these share one free number of the
workspace: it is given to one agent after the other, each for as long as it takes to place the call (a call keeps its agent).
A callee's number is called by one scenario at a time, and what its callee said about never being called again is taken back:
it was a test. A refusal that says that the scenario or a setting is wrong is `broken`, not `failed`.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO, cast

from bolti._answers import Conversation
from bolti._cli import junit, showing
from bolti._cli.scenario_files import BrokenFile, ScenarioFile, files_of, read
from bolti._errors import (
    ApiError,
    BoltiError,
    ConfigurationError,
    DoNotCall,
    NotFound,
    WaitTimedOut,
)
from bolti._models import Number, OutboundCall
from bolti._sync.client import Bolti

# Of the simulated network, without a script of their own, in case an older server does not know scenarios. From 0150 on they
# may be numbers of the workspace.
CALLEES = tuple(f"+120255501{number}" for number in range(20, 50))
MOST_PARALLEL = len(CALLEES)
BROKEN_SCENARIO = "invalid_scenario"
AGENT_NAME = "bolti test: "
LONGEST_AGENT_NAME = 100


@dataclass(frozen=True)
class Options:
    paths: tuple[Path, ...]
    agent_id: str | None = None
    parallel: int = 4
    junit: Path | None = None
    line: str | None = None
    timeout_seconds: float = 600.0


@dataclass(frozen=True)
class Outcome:
    """What became of one scenario. `problems` say what is broken, or what went wrong besides the expectations."""

    path: Path
    name: str
    status: Literal["passed", "failed", "broken"]
    seconds: float = 0.0
    file: ScenarioFile | None = None
    conversation: Conversation | None = None
    problems: tuple[str, ...] = ()


def test(options: Options, out: TextIO) -> int:
    """Runs them all, shows each as it ends, and gives the exit code. Raises BoltiError where nothing can be tried."""
    paths = files_of(options.paths)
    began = time.monotonic()
    with Bolti(timeout_seconds=60) as bolti:
        outcomes = _Runner(bolti, options).run(paths, showing.Screen(out))
    showing.Screen(out).summary(outcomes, time.monotonic() - began)
    if options.junit is not None:
        junit.write(options.junit, outcomes)
    if any(outcome.status == "broken" for outcome in outcomes):
        return 2
    return 1 if any(outcome.status == "failed" for outcome in outcomes) else 0


class _Runner:
    def __init__(self, bolti: Bolti, options: Options) -> None:
        self._bolti = bolti
        self._options = options
        self._placing = threading.Lock()  # holds the free number
        self._number: Number | None = None
        self._callees: queue.LifoQueue[str] = queue.LifoQueue()
        for number in reversed(CALLEES):
            self._callees.put(number)
        self._is_stopping = threading.Event()
        self._live: dict[str, str] = {}  # conversations with the numbers that they call

    def run(self, paths: Sequence[Path], screen: showing.Screen) -> list[Outcome]:
        """The outcomes in the order of the files."""
        with ThreadPoolExecutor(self._options.parallel, "scenario") as threads:
            running: dict[Future[Outcome], int] = {
                threads.submit(self._try, path): index for index, path in enumerate(paths)
            }
            outcomes: dict[int, Outcome] = {}
            try:
                for done in as_completed(running):
                    outcomes[running[done]] = done.result()
                    screen.outcome(done.result())
            except BaseException:
                threads.shutdown(wait=False, cancel_futures=True)
                self._end_calls()
                raise
        return [outcomes[index] for index in sorted(outcomes)]

    def _end_calls(self) -> None:
        """Those that go on; one that is just being placed sees that it is to stop."""
        self._is_stopping.set()
        for conversation_id in list(self._live):
            self._bolti.conversations.end(conversation_id)

    def _try(self, path: Path) -> Outcome:
        began = time.monotonic()
        try:
            file = read(path)
        except BrokenFile as broken:
            return Outcome(path, path.stem, "broken", problems=broken.problems)
        try:
            conversation = self._call(file)
        except BrokenFile as broken:
            return Outcome(path, file.name, "broken", file=file, problems=broken.problems)
        except WaitTimedOut as error:
            return Outcome(
                path,
                file.name,
                "failed",
                time.monotonic() - began,
                file,
                error.conversation,
                (f"The call was not over within {self._options.timeout_seconds:g} s.",),
            )
        except BoltiError as error:
            return Outcome(path, file.name, "broken", file=file, problems=(f"{path}: {error}",))
        return _judged(file, conversation, time.monotonic() - began)

    def _call(self, file: ScenarioFile) -> Conversation:
        if self._options.agent_id is not None:
            return self._follow(self._place(file, self._options.agent_id))
        if file.agent is None:
            detail = "It carries no agent. Name one with --agent, or write agent: into it."
            raise BrokenFile([f"{file.path}: {detail}"])
        agent_id = self._make_agent(file)
        try:
            with self._placing:
                self._bolti.agent_phone_numbers.assign(
                    agent_id, number_id=self._free_number().id, direction="outbound"
                )
                call = self._place(file, agent_id)
            return self._follow(call)
        finally:
            self._delete(agent_id)

    def _make_agent(self, file: ScenarioFile) -> str:
        settings = {"name": (AGENT_NAME + file.name)[:LONGEST_AGENT_NAME], **(file.agent or {})}
        try:
            return self._bolti.agents.create(**cast("Any", settings)).id
        except ApiError as error:
            if error.status != 400:
                raise
            problems = [
                f"{file.place('/agent' + fault.pointer)}: {fault.pointer.lstrip('/')}: {fault.detail}"
                for fault in error.errors
            ]
            raise BrokenFile(problems or [f"{file.path}: {error}"]) from error

    def _place(self, file: ScenarioFile, agent_id: str) -> OutboundCall:
        """A call to a callee's number that nobody else has now; `_follow` gives the number back."""
        simulation: dict[str, Any] = {"script": file.script}
        if self._options.line is not None:
            simulation["line"] = self._options.line
        while True:
            to_number = self._free_callee(file)
            try:
                call = self._bolti.agents.outbound_call(
                    agent_id,
                    to_number=to_number,
                    variable_values=file.variable_values,
                    when_limited="queue",
                    allow_concurrent_to_callee=True,
                    simulation=cast("Any", simulation),
                )
            except DoNotCall:
                continue  # left by somebody else: this one is not tried again
            except ApiError as error:
                self._callees.put(to_number)
                raise BrokenFile(_refused(file, error)) from error
            self._live[call.conversation_id] = to_number
            return call

    def _free_callee(self, file: ScenarioFile) -> str:
        try:
            return self._callees.get_nowait()
        except queue.Empty:
            listed = f"{CALLEES[0]} to {CALLEES[-1]} are all on the workspace's do-not-call list."
            raise BrokenFile([f"{file.path}: {listed}"]) from None

    def _follow(self, call: OutboundCall) -> Conversation:
        conversation_id = call.conversation_id
        try:
            if self._is_stopping.is_set():
                self._bolti.conversations.end(conversation_id)
            return self._bolti.conversations.wait_until_ended(
                conversation_id, timeout_seconds=self._options.timeout_seconds
            )
        except WaitTimedOut:
            self._bolti.conversations.end(conversation_id)
            raise
        finally:
            to_number = self._live.pop(conversation_id, None)
            if to_number is not None and self._take_back_opt_out(conversation_id):
                self._callees.put(to_number)

    def _take_back_opt_out(self, conversation_id: str) -> bool:
        """Whether the callee can be called again."""
        try:
            for entry in self._bolti.do_not_call.list(limit=100).data:
                if entry.conversation_id == conversation_id:
                    self._bolti.do_not_call.delete(entry.id)
        except ApiError:
            return False  # a key that may not: the next scenario gets another number
        return True

    def _free_number(self) -> Number:
        """A simulated number that belongs to no agent, or to one of an earlier run. Asked for under the lock, once."""
        if self._number is None:
            self._number = next(
                (each for each in self._bolti.numbers.list(limit=100) if _is_free(each)), None
            )
        if self._number is None:
            raise ConfigurationError(
                "Every simulated number of the workspace belongs to an agent. Take one from its agent "
                "(agent_phone_numbers.unassign), or test an agent that has a number with --agent."
            )
        return self._number

    def _delete(self, agent_id: str) -> None:
        try:
            self._bolti.agents.delete(agent_id)
        except NotFound:
            return  # somebody was faster


def _is_free(number: Number) -> bool:
    return number.simulated and number.assignment is None


def _refused(file: ScenarioFile, error: ApiError) -> list[str]:
    """What is wrong with the scenario, with its places; else the refusal as it is."""
    problems = [
        _placed(file.path, fault.detail) for fault in error.errors if fault.code == BROKEN_SCENARIO
    ]
    others = [
        f"{file.path}: {fault.pointer} {fault.detail}".replace(":  ", ": ")
        for fault in error.errors
        if fault.code != BROKEN_SCENARIO
    ]
    return [*problems, *others] or [f"{file.path}: {error}"]


def _placed(path: Path, detail: str) -> str:
    """`line 3, column 5: what` as editors and terminals know it: file:3:5: what."""
    place, _, what = detail.partition(": ")
    numbers = [word for word in place.replace(",", " ").split() if word.isdecimal()]
    return f"{path}:{':'.join(numbers)}: {what}" if len(numbers) == 2 else f"{path}: {detail}"


def _judged(file: ScenarioFile, conversation: Conversation, seconds: float) -> Outcome:
    result = conversation.simulation
    if result is None:
        problem = (
            f"{file.path}: the server did not take the scenario: is it older than this client?"
        )
        return Outcome(file.path, file.name, "broken", seconds, file, conversation, (problem,))
    has_passed = result.verdict == "passed" or not result.expectations
    status: Literal["passed", "failed"] = "passed" if has_passed else "failed"
    return Outcome(file.path, file.name, status, seconds, file, conversation)
