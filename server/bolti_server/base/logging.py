"""Logs: a fixed event name and fields, one line each, on stderr.

Rules: an event name never contains a value (`request_failed`, not `request 17 failed`); personal values stand only in
fields named `pii_…`; no transcripts, no secrets, no tokens. In a terminal the lines are for eyes, else they are JSON.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import msgspec
import structlog

from bolti_server.base.settings import LogFormat, LogLevel

_REDACTED = "[secret]"
_SECRET_FIELDS = ("token", "secret", "password", "authorization", "api_key")


def configure_logging(level: LogLevel = "info", log_format: LogFormat = "auto") -> None:
    """Once per process. `log_format`: json, console, or auto (console in a terminal)."""
    number = logging.getLevelNamesMapping()[level.upper()]
    is_console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    renderer: Any = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if is_console
        else _render_json
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            _hide_secrets,
            *([] if is_console else [structlog.processors.format_exc_info]),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    # Libraries: warnings and worse, on stderr too. uvicorn announces nothing that we don't log ourselves.
    logging.basicConfig(level=max(number, logging.WARNING), stream=sys.stderr, force=True)


def get_logger(area: str) -> Any:
    """A logger whose lines carry `area` (the module's short name)."""
    return structlog.get_logger(area=area)


def _render_json(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    return msgspec.json.encode(event, enc_hook=repr).decode()


def _hide_secrets(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A second fence: nobody should log these, and if somebody does, the value is gone."""
    for field in event:
        if field.endswith(_SECRET_FIELDS):
            event[field] = _REDACTED
    return event
