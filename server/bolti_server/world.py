"""World: everything outside the process that a test replaces, passed first to every use case. No globals, no patching."""

from __future__ import annotations

import attrs

from bolti_server.base.clock import Clock
from bolti_server.base.crypto import Vault
from bolti_server.base.db import Database
from bolti_server.base.http import GuardedHttp
from bolti_server.base.settings import Settings
from bolti_server.base.storage import ObjectStore
from bolti_server.base.wakeups import Wakeups
from bolti_server.rooms.media import MediaServer


@attrs.frozen
class World:
    settings: Settings
    clock: Clock  # instants of rows come from the database's bolti_now(); this one is for waits and time-outs
    db: Database
    http: GuardedHttp  # requests to users' URLs (tools, webhooks)
    objects: ObjectStore  # recordings
    vault: Vault  # credentials at rest, hashes of keys, signed links
    media: MediaServer | None  # where rooms are; None: only simulated lines can be carried
    wakeups: Wakeups  # in-process wake-ups after a commit; pollers also look every half second
