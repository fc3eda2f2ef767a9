"""`bolti-server doctor`: what of an installation is missing or wrong, and what to do, one line for each thing.

A file a thing that is looked at. Rules: it changes nothing that stays (a probe object, a room of its own: both are gone
afterwards), dials nobody, and never tells a secret.
"""

from bolti_server.entrypoints.doctor.running import run

__all__ = ["run"]
