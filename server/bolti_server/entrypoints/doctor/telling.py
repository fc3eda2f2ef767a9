"""What was found, for people: one line for each thing, readable without colours; and for programs: JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import attrs
from rich.console import Console
from rich.text import Text

from bolti_server.entrypoints.doctor.findings import Finding, Sign

_STYLES = {Sign.OK: "green", Sign.PROBLEM: "bold red", Sign.NOT_CHECKED: "yellow"}
_SIGN_WIDTH = max(len(sign) for sign in Sign)


def is_well(findings: Sequence[Finding]) -> bool:
    """What could not be checked is no problem by itself: what it waits for is one, or was not asked for."""
    return all(finding.sign is not Sign.PROBLEM for finding in findings)


def tell(findings: Sequence[Finding]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    width = max((len(finding.check) for finding in findings), default=0)
    for finding in findings:
        line = Text(f"{finding.sign:<{_SIGN_WIDTH}}", style=_STYLES[finding.sign])
        line.append(f"  {finding.check:<{width}}  ", style="bold")
        line.append(finding.detail, style="none")
        if finding.advice is not None:
            line.append(f" {finding.advice}", style="cyan")
        console.print(line)
    console.print(_summary(findings))


def tell_as_json(findings: Sequence[Finding]) -> None:
    told = {"is_well": is_well(findings), "checks": [attrs.asdict(each) for each in findings]}
    json.dump(told, sys.stdout, indent=1)
    print()


def _summary(findings: Sequence[Finding]) -> str:
    problems = sum(finding.sign is Sign.PROBLEM for finding in findings)
    unchecked = sum(finding.sign is Sign.NOT_CHECKED for finding in findings)
    if not problems and not unchecked:
        return "All is well."
    some = {0: "No problem", 1: "1 problem"}.get(problems, f"{problems} problems")
    return f"{some}, {unchecked} not checked." if unchecked else f"{some}."
