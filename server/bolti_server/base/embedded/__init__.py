"""A PostgreSQL of our own beside the program, for everyone who has not set BOLTI_DATABASE_URL."""

from bolti_server.base.embedded.errors import EmbeddedPostgresError
from bolti_server.base.embedded.supervisor import EmbeddedPostgres

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError"]
