"""All checks side by side, each with a time-out of its own, told in a fixed order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import attrs

from bolti_server.base.logging import get_logger
from bolti_server.entrypoints.doctor.findings import Finding, problem

log = get_logger("doctor")


@attrs.frozen
class Check:
    """`look` finds at least one thing. `seconds` is how long it may take; `name` is what is told where it takes longer."""

    name: str
    look: Callable[[], Awaitable[Sequence[Finding]]]
    seconds: float = 10.0


async def examine(checks: Sequence[Check]) -> list[Finding]:
    """In the order of `checks`. No check keeps another from being told, whatever happens to it."""
    found = await asyncio.gather(*(_examined(check) for check in checks))
    return [finding for findings in found for finding in findings]


async def _examined(check: Check) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(check.seconds):
            return await check.look()
    except TimeoutError:
        detail = f"no answer within {check.seconds:g} s."
        return [problem(check.name, detail, "See whether it hangs, or is cut off by a firewall.")]
    except Exception as error:
        # One more edge: a bug in one check must not hide what the others found.
        log.error("check_failed", check=check.name, exc_info=error)
        detail = f"the check itself failed: {type(error).__name__}."
        return [problem(check.name, detail, "This is a bug of the doctor: tell us, with the log.")]
