"""`bolti test`: what it asks of the server, what it prints, and its exit code."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from tests.sdk.conftest import API_KEY
from tests.sdk.support.contract import example
from tests.sdk.support.scripted_server import (
    Answer,
    Received,
    Reply,
    ScriptedServer,
    json_reply,
    problem,
)

from bolti._cli import showing, testing
from bolti._cli.main import run

AGENT, CONVERSATION = example("Agent")["id"], example("Conversation")["id"]
FREE = {**example("Number"), "assignment": None}
SCENARIO = """\
name: Booking
variable_values: {name: Priya, day: 2026-11-25}
agent:
  first_message: Hello.
  llm:
    provider: simulated
    rules:
      - {hear: "(", say: x}
callee:
  - answer
  - say: I want tomorrow.
  - say: Thank you.
expect:
  - agent_says: {contains: tomorrow}
"""


def expectation(is_met: bool | None, detail: str | None = None) -> dict[str, Any]:
    return {
        "kind": "agent_says",
        "line": 14,
        "expected": 'The agent says something with "tomorrow".',
        "is_met": is_met,
        "detail": detail,
    }


def turn(role: str, text: str, start_ms: int, **members: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "latency": None,
        "tool_calls": [],
        "dtmf": None,
        "is_interrupted": False,
    }
    return {
        **plain,
        "index": 0,
        "role": role,
        "text": text,
        "start_ms": start_ms,
        "end_ms": start_ms,
        **members,
    }


class Server:
    """Answers everything that `bolti test` asks; a test changes what it wants to be otherwise."""

    def __init__(self, scripted: ScriptedServer) -> None:
        self.scripted = scripted
        scripted.script = self.answer
        self.numbers: list[dict[str, Any]] = [example("Number"), FREE]
        self.refusals: dict[str, Reply] = {}
        self.expectations = [expectation(True)]
        self.verdict: str | None = "passed"
        self.transcript = [turn("agent", "Tomorrow is free.", 200)]
        self.ended_at: str | None = "2026-11-24T10:00:43.870Z"
        self.has_simulation = True
        self.entries: list[dict[str, Any]] = []
        self.unwanted: set[str] = set()

    def answer(self, request: Received) -> Answer:
        what = f"{request.method} {request.path.rsplit('/', 1)[1]}"
        if what in self.refusals:
            return self.refusals[what]
        match what:
            case "POST agents":
                return json_reply(example("Agent"), 201)
            case "GET numbers":
                return json_reply({"data": self.numbers, "next": None})
            case "POST phone-numbers":
                return json_reply(example("AgentPhoneNumber"), 201)
            case "GET do-not-call":
                return json_reply({"data": self.entries, "next": None})
            case "POST outbound-call" if request.json["to_number"] in self.unwanted:
                return problem("do_not_call", 403)
            case "POST outbound-call":
                return json_reply(example("OutboundCall"), 201)
            case "GET events":
                return problem("not_found", 404)
            case "POST end":
                return json_reply(self.conversation(), 202)
            case _ if request.method == "DELETE":
                return Reply(204)
            case _:
                return json_reply(self.conversation())

    def conversation(self) -> dict[str, Any]:
        simulation = {
            "name": "Booking",
            "script": SCENARIO,
            "verdict": self.verdict,
            "expectations": self.expectations,
        }
        return {
            **example("Conversation"),
            "ended_at": self.ended_at,
            "transcript": self.transcript,
            "simulation": simulation if self.has_simulation else None,
        }

    def asked(self, method: str, end: str) -> list[Received]:
        received = self.scripted.received
        return [each for each in received if each.method == method and each.path.endswith(end)]


@pytest.fixture
def fake(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("BOLTI_API_KEY", API_KEY)
    monkeypatch.setenv("BOLTI_BASE_URL", server.base_url)
    return Server(server)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "booking.yaml"
    path.write_text(SCENARIO, encoding="utf-8")
    return path


Try = Callable[..., tuple[int, str]]


@pytest.fixture
def bolti_test(capsys: pytest.CaptureFixture[str]) -> Try:
    """Exit code and all that was printed."""

    def run_it(*arguments: Any) -> tuple[int, str]:
        code = run(["test", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run_it


def test_a_scenario_is_called_with_an_agent_made_for_it(
    fake: Server, file: Path, bolti_test: Try
) -> None:
    code, printed = bolti_test(file)
    assert code == 0, printed
    assert printed.startswith(f"PASS   Booking  {file} ")
    assert "1 passed in " in printed
    (agent,) = fake.asked("POST", "/agents")
    assert agent.json["name"] == "bolti test: Booking"
    assert agent.json["llm"]["rules"] == [{"hear": "(", "say": "x"}]
    (assignment,) = fake.asked("POST", "/phone-numbers")
    assert assignment.json == {"number_id": FREE["id"], "direction": "outbound"}
    (call,) = fake.asked("POST", "/outbound-call")
    assert call.json["simulation"] == {"script": SCENARIO}
    assert call.json["variable_values"] == {"name": "Priya", "day": "2026-11-25"}
    assert call.json["allow_concurrent_to_callee"] is True
    (deleted,) = fake.asked("DELETE", AGENT)
    assert fake.scripted.received.index(deleted) > fake.scripted.received.index(call)


def test_a_callee_that_wants_no_calls_can_be_called_by_the_next_scenario(
    fake: Server, file: Path, bolti_test: Try
) -> None:
    ours, other = {"id": "dnc_1"}, {"id": "dnc_2", "conversation_id": "conv_other"}
    entry = {**example("DoNotCallEntry"), "conversation_id": CONVERSATION}
    fake.entries = [{**entry, **other}, {**entry, **ours}]
    assert bolti_test(file, file, "--parallel", "1")[0] == 0
    assert len(fake.asked("DELETE", "/do-not-call/dnc_1")) == 2
    assert not fake.asked("DELETE", "/do-not-call/dnc_2")
    numbers = [each.json["to_number"] for each in fake.asked("POST", "/outbound-call")]
    assert numbers == ["+12025550120", "+12025550120"]


def test_a_number_that_is_on_the_do_not_call_list_is_passed_over(
    fake: Server, file: Path, bolti_test: Try
) -> None:
    fake.unwanted = {"+12025550120", "+12025550121"}
    assert bolti_test(file)[0] == 0
    assert fake.asked("POST", "/outbound-call")[-1].json["to_number"] == "+12025550122"
    fake.unwanted = set(testing.CALLEES)
    code, printed = bolti_test(file)
    assert (code, "are all on the workspace's do-not-call list." in printed) == (2, True)


def test_an_agent_that_is_named_is_used_as_it_is(fake: Server, file: Path, bolti_test: Try) -> None:
    code, _ = bolti_test(file, "--agent", "agent_mine", "--line", "text")
    assert code == 0
    (call,) = fake.asked("POST", "/outbound-call")
    assert "/agents/agent_mine/" in call.path
    assert call.json["simulation"] == {"script": SCENARIO, "line": "text"}
    assert fake.asked("POST", "/agents") == fake.asked("POST", "/phone-numbers") == []
    assert not [each for each in fake.scripted.received if each.method == "DELETE"]


def test_a_failed_one_shows_what_was_said_next_to_what_was_expected(
    fake: Server, file: Path, bolti_test: Try
) -> None:
    fake.verdict = "failed"
    fake.expectations = [
        expectation(False, 'It said: "Today."'),
        expectation(True),
        expectation(None),
    ]
    call = {
        "name": "book",
        "arguments": {"day": "x"},
        "result": None,
        "is_error": True,
        "duration_ms": 1,
    }
    fake.transcript = [
        turn("agent", "Hello and", 200, is_interrupted=True),
        turn("user", "I want to sorrow.", 1300),
        turn("user", "", 1900, dtmf="2"),
        turn("agent", "Today.", 2500, tool_calls=[call]),
        turn("user", "Thank you!", 4000),
    ]
    code, printed = bolti_test(file)
    assert code == 1
    assert printed.splitlines()[1:-1] == [
        f"       {CONVERSATION}  agent_hangup",
        "            0.2 s  agent   Hello and  — interrupted",
        "       - line 11    callee  I want tomorrow.  (was not heard)",
        "            1.3 s  callee  I want to sorrow.",
        "            1.9 s  callee  [keys 2]",
        "            2.5 s  agent   Today.",
        "                           → book(day: 'x') failed",
        "            4.0 s  callee  Thank you!",
        '       - line 14   The agent says something with "tomorrow".',
        '       +           It said: "Today."',
        '         line 14   The agent says something with "tomorrow".',
        '       ? line 14   The agent says something with "tomorrow".',
        "                   Not judged.",
    ]


def test_what_could_not_be_judged_does_not_pass(fake: Server, file: Path, bolti_test: Try) -> None:
    fake.verdict, fake.expectations = None, [expectation(None)]
    assert bolti_test(file)[0] == 1


def test_what_was_not_judged_in_a_passed_one_is_told(
    fake: Server, file: Path, bolti_test: Try
) -> None:
    fake.expectations = [expectation(True), expectation(None, "No turn was measured.")]
    code, printed = bolti_test(file)
    assert code == 0
    assert "not judged, line 14: " in printed
    assert "No turn was measured." in printed


def test_what_the_server_finds_broken_is_told_as_editors_know_it(
    fake: Server, file: Path, bolti_test: Try
) -> None:
    faults = [
        {"pointer": "/simulation/script", "detail": "line 3, column 5: A callee: no.", "code": "invalid_scenario"},
        {"pointer": "/variable_values/town", "detail": "Is required.", "code": "missing_variable"},
    ]  # fmt: skip
    fake.refusals["POST outbound-call"] = problem("validation_failed", 400, errors=faults)
    code, printed = bolti_test(file)
    assert code == 2
    assert printed.splitlines()[0] == f"BROKEN Booking  {file}"
    assert f"       {file}:3:5: A callee: no." in printed.splitlines()
    assert f"       {file}: /variable_values/town Is required." in printed.splitlines()
    assert fake.asked("DELETE", AGENT)


def test_what_is_wrong_with_the_agent_is_told_where_it_stands(
    fake: Server, file: Path, bolti_test: Try
) -> None:
    faults = [
        {"pointer": "/llm/rules/0/hear", "detail": "No expression.", "code": "invalid"},
        {"pointer": "/stt", "detail": "Is required.", "code": "required"},
    ]
    fake.refusals["POST agents"] = problem("validation_failed", 400, errors=faults)
    code, printed = bolti_test(file)
    assert code == 2
    assert f"{file}:8:16: llm/rules/0/hear: No expression." in printed
    assert f"{file}:4:3: stt: Is required." in printed


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: a: b\n", ":1:8: This is not YAML: mapping values are not allowed here."),
        ("name: &a x\ncallee: *a\n", ":2: No aliases (*)."),
        ("name: x\ncallee: [answer]\n", ": It carries no agent. Name one with --agent"),
        ("[" * 20_000, ":1: Nested deeper than 30 levels."),
        ("#" * 70_000, ": larger than any scenario may be."),
        ("name: \xff", ": can't be read: it is not UTF-8."),
    ],
)
def test_a_file_that_is_no_scenario_is_broken_without_a_call(
    fake: Server, tmp_path: Path, bolti_test: Try, text: str, told: str
) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(text.encode("latin-1"))
    code, printed = bolti_test(path)
    assert code == 2
    assert f"{path}{told}" in printed
    assert fake.scripted.received == []


def test_a_file_that_is_not_there_is_broken_and_the_others_are_tried(
    fake: Server, file: Path, tmp_path: Path, bolti_test: Try
) -> None:
    code, printed = bolti_test(tmp_path / "none.yaml", file)
    assert code == 2
    assert "can't be read: No such file" in printed
    assert "1 passed, 1 broken in" in printed


def test_a_folder_stands_for_its_scenarios(
    fake: Server, file: Path, tmp_path: Path, bolti_test: Try
) -> None:
    (tmp_path / "second.yml").write_text(SCENARIO.replace("Booking", "Second"), encoding="utf-8")
    (tmp_path / "notes.txt").write_text("no scenario", encoding="utf-8")
    code, printed = bolti_test(tmp_path, "--parallel", "2")
    assert code == 0
    assert "2 passed in" in printed
    (tmp_path / "empty").mkdir()
    code, printed = bolti_test(tmp_path / "empty")
    assert (code, "There is no scenario (*.yaml) in" in printed) == (2, True)


def test_without_a_free_number_it_says_what_to_do(
    fake: Server, file: Path, bolti_test: Try
) -> None:
    fake.numbers = [example("Number")]
    code, printed = bolti_test(file)
    assert code == 2
    assert "Every simulated number of the workspace belongs to an agent." in printed


def test_a_server_that_does_not_know_scenarios_is_broken(
    fake: Server, file: Path, bolti_test: Try
) -> None:
    fake.has_simulation = False
    code, printed = bolti_test(file)
    assert (code, "the server did not take the scenario" in printed) == (2, True)


def test_a_call_that_does_not_end_fails_and_is_ended(
    fake: Server, file: Path, bolti_test: Try
) -> None:
    fake.ended_at, fake.verdict = None, None
    code, printed = bolti_test(file, "--timeout", "1")
    assert code == 1
    assert "The call was not over within 1 s." in printed
    assert fake.asked("POST", "/end")


class Interrupted(io.StringIO):
    """Ctrl-C comes when it writes for the first time."""

    def write(self, text: str) -> int:
        raise KeyboardInterrupt


def test_ctrl_c_ends_the_calls_that_go_on_and_leaves_no_agent(
    fake: Server, file: Path, tmp_path: Path
) -> None:
    fake.ended_at = None  # until it is ended
    answer = fake.answer

    def ending(request: Received) -> Answer:
        if request.path.endswith("/end"):
            fake.ended_at = "2026-11-24T10:00:43.870Z"
        return answer(request)

    fake.scripted.script = ending
    paths = (file, tmp_path / "none.yaml")
    with pytest.raises(KeyboardInterrupt):
        testing.test(testing.Options(paths, parallel=2, timeout_seconds=30), Interrupted())
    assert fake.asked("POST", "/end")
    assert fake.asked("DELETE", AGENT)


def test_without_a_server_it_says_what_to_set(
    file: Path, bolti_test: Try, server: ScriptedServer
) -> None:
    code, printed = bolti_test(file)
    assert code == 2
    assert "Set BOLTI_API_KEY and BOLTI_BASE_URL" in printed
    assert "bolti-server dev" in printed
    assert server.received == []


def test_junit_tells_the_same(fake: Server, file: Path, tmp_path: Path, bolti_test: Try) -> None:
    fake.verdict = "failed"
    fake.expectations = [expectation(False, "It said: \x07 <nothing>")]
    report = tmp_path / "out.xml"
    bolti_test(file, tmp_path / "none.yaml", "--junit", report)
    suite = ET.parse(report).getroot()
    assert {name: suite.get(name) for name in ("tests", "failures", "errors")} == {
        "tests": "2",
        "failures": "1",
        "errors": "1",
    }
    failed, broken = suite
    assert (failed.get("name"), failed.get("classname")) == ("Booking", "booking")
    failure, error = failed.find("failure"), broken.find("error")
    assert failure is not None
    assert error is not None
    assert failure.get("message", "").startswith("line 14: The agent says something with")
    assert "Tomorrow is free." in (failure.text or "")
    assert "<nothing>" in (failure.text or "")
    assert "can't be read" in error.get("message", "")


def test_a_junit_file_that_can_not_be_written_is_told(
    fake: Server, file: Path, tmp_path: Path, bolti_test: Try
) -> None:
    code, printed = bolti_test(file, "--junit", tmp_path / "no" / "out.xml")
    assert (code, "can't be written" in printed) == (2, True)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("out", [io.StringIO(), Terminal()])
def test_colors_are_for_terminals_and_what_was_heard_does_not_steer_them(
    fake: Server, file: Path, out: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.verdict = "failed"
    fake.transcript = [turn("agent", "Look: \x1b[2J\x9b2J gone.", 100)]
    assert testing.test(testing.Options(paths=(file,)), out) == 1
    printed = out.getvalue()
    assert "\x1b[2J" not in printed
    assert "\x9b" not in printed
    assert ("\x1b[31mFAIL" in printed) == out.isatty()
    assert ("\x1b" in printed) == out.isatty()
    monkeypatch.setenv("NO_COLOR", "1")
    showing.Screen(out).summary([], 1.0)
    assert out.getvalue().endswith("nothing to do in 1.0 s\n")


@pytest.mark.parametrize("arguments", [[], ["test"], ["test", "x", "--parallel", "0"], ["tset"]])
def test_what_can_not_be_read_exits_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(arguments)
    assert caught.value.code == 2


def test_the_client_works_without_yaml_and_the_command_says_what_is_missing(file: Path) -> None:
    code = "import sys; sys.modules['yaml'] = None; from bolti._cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "test", str(file)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.strip().endswith("pip install 'bolti[cli]'")
