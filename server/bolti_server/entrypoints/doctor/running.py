"""The command: which checks there are on which machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

import httpx2
from pydantic_settings import BaseSettings

from bolti_server.base.logging import configure_logging
from bolti_server.base.settings import Settings
from bolti_server.bootstrap.worker_settings import WorkerSettings
from bolti_server.entrypoints.complaints import (
    CannotStart,
    complaints_about_livekit,
    read_settings,
)
from bolti_server.entrypoints.doctor.database import DEPENDENT, look_at_database
from bolti_server.entrypoints.doctor.examining import Check, examine
from bolti_server.entrypoints.doctor.findings import Finding, not_checked, ok, problem
from bolti_server.entrypoints.doctor.livekit import look_at_livekit
from bolti_server.entrypoints.doctor.objects import look_at_objects
from bolti_server.entrypoints.doctor.server import look_at_server
from bolti_server.entrypoints.doctor.sip import look_at_sip
from bolti_server.entrypoints.doctor.telling import is_well, tell, tell_as_json
from bolti_server.entrypoints.doctor.twirp import Access
from bolti_server.entrypoints.serve import complaints_about

HTTP_SECONDS = 8.0
Kind = TypeVar("Kind", bound=BaseSettings)

NO_MEDIA = "LIVEKIT_URL is not set: only simulated calls are carried."


def run(*, is_worker: bool, is_json: bool) -> int:
    """Exit code 0: no problem was found; 1: there is one."""
    configure_logging("error", "auto")  # to standard error: standard output is for what was found
    findings = asyncio.run(_examine_worker() if is_worker else _examine_server())
    if is_json:
        tell_as_json(findings)
    else:
        tell(findings)
    return 0 if is_well(findings) else 1


async def _examine_server() -> list[Finding]:
    settings, findings = _settings(Settings, "settings", "bolti-server serve", complaints_about)
    if settings is None:
        rest = ("database", *DEPENDENT, "object store", "internal url", "livekit")
        return [*findings, *(not_checked(name, "the settings can't be read.") for name in rest)]
    async with httpx2.AsyncClient(timeout=HTTP_SECONDS) as http:
        checks = [*_media_checks(http, settings)]
        checks.insert(0, _server_check(http, settings.internal_url, settings.worker_token))
        checks.insert(0, Check("object store", lambda: look_at_objects(settings.object_store)))
        if settings.database_url:
            checks.insert(0, _database_check(settings, settings.database_url))
        else:
            findings += [
                not_checked(name, "BOLTI_DATABASE_URL is not set.")
                for name in ("database", *DEPENDENT)
            ]
        return findings + await examine(checks)


async def _examine_worker() -> list[Finding]:
    settings, findings = _settings(
        WorkerSettings, "settings", "bolti-server worker", complaints_about_livekit
    )
    if settings is None:
        rest = ("internal url", "livekit")
        return [*findings, *(not_checked(name, "the settings can't be read.") for name in rest)]
    async with httpx2.AsyncClient(timeout=HTTP_SECONDS) as http:
        server = _server_check(http, settings.internal_url, settings.worker_token)
        return findings + await examine([server, *_media_checks(http, settings)])


def _settings(
    kind: type[Kind], check: str, command: str, complaints: Callable[[Kind], list[str]]
) -> tuple[Kind | None, list[Finding]]:
    """The settings, None where they can't be read at all, and what is wrong with them."""
    try:
        settings = read_settings(kind)
    except CannotStart as refusal:
        return None, [_complaint(check, each) for each in refusal.complaints]
    found = [_complaint(check, each) for each in complaints(settings)]
    return settings, found or [ok(check, f"{command} would start.")]


def _complaint(check: str, sentences: str) -> Finding:
    """A complaint says what is wrong first and what to do after it."""
    detail, _, advice = sentences.partition(". ")
    return problem(check, detail.rstrip(".") + ".", advice or "Set it as the guide says.")


def _database_check(settings: Settings, url: str) -> Check:
    has_rooms = bool(settings.livekit_url)
    return Check("database", lambda: look_at_database(url, has_rooms=has_rooms), seconds=15)


def _server_check(http: httpx2.AsyncClient, url: str, token: str) -> Check:
    return Check("internal url", lambda: look_at_server(http, url, token))


def _media_checks(http: httpx2.AsyncClient, settings: Settings | WorkerSettings) -> Sequence[Check]:
    url = settings.livekit_url
    if not url:
        return [Check("livekit", _no_media)]
    if not (settings.livekit_api_key and settings.livekit_api_secret):
        return [Check("livekit", _no_key)]
    access = Access(url, settings.livekit_api_key, settings.livekit_api_secret)
    return [
        Check("livekit", lambda: look_at_livekit(http, access), seconds=15),
        Check(
            "sip service", lambda: look_at_sip(http, access, settings.livekit_sip_url), seconds=20
        ),
    ]


async def _no_key() -> Sequence[Finding]:
    return [not_checked("livekit", "LIVEKIT_API_KEY or LIVEKIT_API_SECRET is missing.")]


async def _no_media() -> Sequence[Finding]:
    return [not_checked("livekit", NO_MEDIA)]
