"""The outcome as JUnit XML, which CI services read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from bolti._cli.showing import report
from bolti._errors import ConfigurationError

if TYPE_CHECKING:
    from bolti._cli.testing import Outcome

# What XML 1.0 can't hold (section 2.2); a scenario's name or a voice may.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Raises ConfigurationError where the file can't be written."""
    suite = ET.Element(
        "testsuite",
        name="bolti test",
        tests=str(len(outcomes)),
        failures=str(sum(outcome.status == "failed" for outcome in outcomes)),
        errors=str(sum(outcome.status == "broken" for outcome in outcomes)),
        time=f"{sum(outcome.seconds for outcome in outcomes):.3f}",
    )
    for outcome in outcomes:
        case = ET.SubElement(
            suite,
            "testcase",
            name=_clean(outcome.name),
            classname=_clean(outcome.path.stem),
            file=_clean(str(outcome.path)),
            time=f"{outcome.seconds:.3f}",
        )
        if outcome.status == "failed":
            lines = [*outcome.problems, *report(outcome)]
            failure = ET.SubElement(case, "failure", message=_clean(_first(outcome)))
            failure.text = _clean("\n".join(lines))
        elif outcome.status == "broken":
            error = ET.SubElement(case, "error", message=_clean(outcome.problems[0]))
            error.text = _clean("\n".join(outcome.problems))
    try:
        ET.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise ConfigurationError(f"{path} can't be written: {error.strerror}") from error


def _first(outcome: Outcome) -> str:
    result = None if outcome.conversation is None else outcome.conversation.simulation
    missed = [] if result is None else [each for each in result.expectations if not each.is_met]
    if missed:
        return f"line {missed[0].line}: {missed[0].expected} {missed[0].detail or ''}".strip()
    return outcome.problems[0] if outcome.problems else "It did not pass."


def _clean(text: str) -> str:
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)
