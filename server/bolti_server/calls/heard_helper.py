"""Our end of the helper process that listens: one process a recording.

Rule: whatever the file does to it, there is an answer or `HearingFailed` within LISTEN_SECONDS and no process is left.
"""

from __future__ import annotations

import asyncio
import os
import sys

import msgspec

from bolti_server.base.logging import get_logger
from bolti_server.calls.heard_messages import HeardAnswer, HeardRequest

# Ten minutes of a call take 2.7 s of one core (docs/decisions/0012); four hours on a busy machine fit.
LISTEN_SECONDS = 240.0
_PASSED_ON = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "HOME", "TMPDIR")  # no secret of the server

log = get_logger("heard")


class HearingFailed(Exception):
    """The helper died, hung or said nothing that can be understood."""


async def listen(
    request: HeardRequest, *, command: tuple[str, ...] = (), timeout_seconds: float = LISTEN_SECONDS
) -> HeardAnswer:
    """Raises HearingFailed. `command`: what is run instead of the helper (tests)."""
    process = await asyncio.create_subprocess_exec(
        *(command or (sys.executable, "-m", "bolti_server.calls.heard_process")),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
    )
    try:
        async with asyncio.timeout(timeout_seconds):
            output, errors = await process.communicate(msgspec.json.encode(request))
    except TimeoutError:
        raise HearingFailed(f"Listening took more than {timeout_seconds:.0f} s.") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        log.warning(
            "hearing_died",
            code=process.returncode,
            errors=errors.decode("utf-8", "replace")[-2000:],
        )
        raise HearingFailed(f"The process that listened ended with {process.returncode}.")
    try:
        return msgspec.json.decode(output, type=HeardAnswer)
    except msgspec.DecodeError as error:
        raise HearingFailed("The process that listened said nothing that makes sense.") from error
