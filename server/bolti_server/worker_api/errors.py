"""What can go wrong between a worker and the server, as the worker sees it."""

from __future__ import annotations


class ServerUnreachable(Exception):
    """No answer, or one that asks to come again (5xx, 429): repeating what was sent is right and safe."""


class CallLost(Exception):
    """The server says that this call is not this worker's any more (another epoch owns it, or it does not exist).

    Hang up and stop: repeating can't help.
    """


class NotAuthorized(Exception):
    """The server knows neither BOLTI_WORKER_TOKEN nor the call's token: nothing will work until that is mended."""
