"""Scenario files as far as the client needs them: the agent that a scenario carries, its variables, what its callee says.

Rules: the server alone says whether a scenario is whole. YAML means here what it means there: plain `yes`, `0123` and dates
are texts; only true, false, null and decimal numbers are something else (a test holds both readings against each other).
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from bolti._errors import ConfigurationError

try:
    yaml: Any = importlib.import_module("yaml")
except ImportError:  # an extra of this package, and without types
    yaml = None

LARGEST_FILE_BYTES = 65_536
MOST_FILES = 1000
DEEPEST_NESTING = 30
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})\.[0-9]{1,18}")
_NULLS = ("", "~", "null", "Null", "NULL")
_BOOLEANS = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}


class BrokenFile(Exception):
    """`problems`: what is wrong with a scenario's file, each with its place where it has one."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Said:
    """Something that the callee shall say; `line` counts from 1."""

    line: int
    text: str


@dataclass(frozen=True)
class ScenarioFile:
    """`agent`: settings of an agent to make, None where the file has none. `root` is the YAML's tree, for places in it."""

    path: Path
    name: str
    script: str
    agent: dict[str, Any] | None
    variable_values: dict[str, Any]
    said: tuple[Said, ...]
    root: Any = field(repr=False, default=None)

    def place(self, pointer: str) -> str:
        """file:line:column of what a JSON pointer leads to, or of the nearest thing above it that there is."""
        node, found = self.root, self.root
        for part in pointer.strip("/").split("/"):
            node = _child(node, part.replace("~1", "/").replace("~0", "~"))
            if node is None:
                break
            found = node
        mark = found.start_mark
        return f"{self.path}:{mark.line + 1}:{mark.column + 1}"


def files_of(paths: Sequence[Path]) -> list[Path]:
    """The files, and of folders the *.yaml and *.yml in them, sorted. Raises ConfigurationError, also where there is
    nothing to read them with."""
    if yaml is None:
        detail = "Scenarios are YAML, which needs one package more: pip install 'bolti[cli]'"
        raise ConfigurationError(detail)
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted([*path.glob("*.yaml"), *path.glob("*.yml")])
            if not inside:
                raise ConfigurationError(f"There is no scenario (*.yaml) in {path}.")
            found += inside
        else:
            found.append(path)
    if len(found) > MOST_FILES:
        raise ConfigurationError(f"At most {MOST_FILES} scenarios at a time, not {len(found)}.")
    return found


def read(path: Path) -> ScenarioFile:
    """Raises BrokenFile where it can't be read or is no YAML."""
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise BrokenFile([f"{path}: larger than any scenario may be."])
        script = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise BrokenFile([f"{path}: can't be read: {why}."]) from error
    try:
        _check(path, script)
        root = yaml.compose(script, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise BrokenFile(
            [f"{path}{_place(error)}: This is not YAML: {_problem(error)}."]
        ) from error
    content = _meaning(root)
    members = _members(content)
    name, has_agent = members.get("name"), isinstance(members.get("agent"), dict)
    return ScenarioFile(
        path=path,
        name=str(name) if name else path.stem,
        script=script,
        agent=_members(members.get("agent")) if has_agent else None,
        variable_values=_members(members.get("variable_values")),
        said=tuple(_said(root)),
        root=root,
    )


def _members(content: object) -> dict[str, Any]:
    return cast("dict[str, Any]", content) if isinstance(content, dict) else {}


def _check(path: Path, script: str) -> None:
    """Raises BrokenFile for what would take for ever: aliases (a small text could stand for a huge one), and nesting
    (PyYAML's time for it is quadratic: 20,000 brackets took it 100 s)."""
    depth = 0
    for event in yaml.parse(script, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise BrokenFile([f"{path}:{line}: No aliases (*)."])
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST_NESTING:
            raise BrokenFile([f"{path}:{line}: Nested deeper than {DEEPEST_NESTING} levels."])


def _meaning(node: Any) -> object:
    match node:
        case yaml.MappingNode():
            return {str(getattr(key, "value", "")): _meaning(value) for key, value in node.value}
        case yaml.SequenceNode():
            return [_meaning(each) for each in node.value]
        case yaml.ScalarNode():
            return node.value if node.style is not None else _plain(node.value)
        case _:
            return None


def _plain(text: str) -> object:
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text)
    return text


def _said(root: Any) -> list[Said]:
    callee = _child(root, "callee")
    found: list[Said] = []
    steps: list[Any] = callee.value if isinstance(callee, yaml.SequenceNode) else []
    for step in steps:
        words = _child(step, "say")
        if isinstance(words, yaml.ScalarNode):
            found.append(Said(step.start_mark.line + 1, " ".join(words.value.split())))
    return found


def _child(node: Any, name: str) -> Any:
    if isinstance(node, yaml.MappingNode):
        return next(
            (value for key, value in node.value if getattr(key, "value", None) == name), None
        )
    if isinstance(node, yaml.SequenceNode) and name.isdecimal() and int(name) < len(node.value):
        return node.value[int(name)]
    return None


def _place(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return "" if mark is None else f":{mark.line + 1}:{mark.column + 1}"


def _problem(error: Exception) -> str:
    return str(getattr(error, "problem", None) or getattr(error, "reason", None) or "it breaks off")
