"""What the doctor found, by the name of each check."""

from __future__ import annotations

from collections.abc import Sequence

from bolti_server.entrypoints.doctor.findings import Finding, Sign


def by_name(findings: Sequence[Finding]) -> dict[str, Finding]:
    for finding in findings:
        assert (finding.advice is not None) == (finding.sign is Sign.PROBLEM), finding
        assert finding.detail.endswith("."), finding
    return {finding.check: finding for finding in findings}


def signs(findings: Sequence[Finding]) -> dict[str, Sign]:
    return {name: finding.sign for name, finding in by_name(findings).items()}
