"""What goes wrong with the database and the object store when a process opens them, in sentences.

Beside complaints.py because the driver costs a fifth of a second to load, which `dev` spends while PostgreSQL starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from bolti_server.base.storage import ObjectStoreUnusable
from bolti_server.entrypoints.complaints import CannotStart
from bolti_server.migrations.runner import MigrationChanged


@contextmanager
def database_complaints() -> Iterator[None]:
    """Raises CannotStart for what goes wrong with the outside while the block opens, migrates or fills it."""
    try:
        yield
    except ObjectStoreUnusable as error:
        raise CannotStart([str(error)]) from None
    except asyncpg.UndefinedTableError:
        message = "The database has no tables yet. Run `bolti-server migrate` first."
        raise CannotStart([message], exit_code=1) from None
    except MigrationChanged as error:
        raise CannotStart([str(error)], exit_code=1) from None
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        reason = str(error) or type(error).__name__  # a time-out has no words of its own
        message = f"The database (BOLTI_DATABASE_URL) can't be used: {reason}"
        raise CannotStart([message], exit_code=1) from None
