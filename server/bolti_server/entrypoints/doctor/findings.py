"""What a check finds."""

from __future__ import annotations

from enum import StrEnum

import attrs


class Sign(StrEnum):
    OK = "ok"
    PROBLEM = "problem"
    NOT_CHECKED = "not checked"


@attrs.frozen
class Finding:
    """One line: `detail` is what there is, `advice` what to do about it (of a problem, never None)."""

    check: str
    sign: Sign
    detail: str
    advice: str | None = None


def ok(check: str, detail: str) -> Finding:
    return Finding(check, Sign.OK, detail)


def problem(check: str, detail: str, advice: str) -> Finding:
    return Finding(check, Sign.PROBLEM, detail, advice)


def not_checked(check: str, detail: str) -> Finding:
    return Finding(check, Sign.NOT_CHECKED, detail)
