"""Objects (recordings): a folder by default, S3, GCS or Azure by URL. Every wait has a time-out.

Rule: a path is made by us of plain segments; one that could leave the store (`..`, absolute, empty segment) is a bug.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, from_url

TIMEOUT_SECONDS = 30.0


class ObjectMissing(Exception):
    """There is no such object."""


class ObjectStoreUnusable(Exception):
    """The address is no store that we know, or its folder can't be made; the text names the setting."""


class ObjectStore:
    """`put` replaces whole objects: a reader sees the old one or the new one."""

    def __init__(self, store: Any) -> None:
        self._store = store

    @classmethod
    def open(cls, url_or_path: str) -> ObjectStore:
        """`s3://bucket/prefix`, `gs://…`, `az://…` (credentials from the environment), `file:///…` or a folder.

        Raises ObjectStoreUnusable.
        """
        try:
            if "://" in url_or_path and not url_or_path.startswith("file://"):
                return cls(from_url(url_or_path))
            folder = Path(url_or_path.removeprefix("file://"))
            return cls(LocalStore(folder, mkdir=True))
        except (BaseError, OSError, ValueError) as error:
            reason = str(error).partition("\n")[0]  # what follows is for obstore's own developers
            raise ObjectStoreUnusable(
                f"The object store (BOLTI_OBJECT_STORE_URL, else the folder BOLTI_DATA_DIR) can't be opened: {reason}"
            ) from error

    async def put(self, path: str, content: bytes) -> None:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await obstore.put_async(self._store, _checked(path), content)

    async def put_stream(
        self, path: str, chunks: AsyncIterator[bytes], *, timeout_seconds: float
    ) -> None:
        """As `put`, from a stream: never in memory as a whole. Raises what `chunks` raises, and stores nothing then."""
        async with asyncio.timeout(timeout_seconds):
            await obstore.put_async(self._store, _checked(path), chunks)

    async def get_range(self, path: str, start: int, end: int) -> bytes:
        """Bytes start to end, `end` not included. Raises ObjectMissing."""
        assert 0 <= start <= end, (start, end)
        if start == end:
            return b""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            try:
                found = await obstore.get_range_async(
                    self._store, _checked(path), start=start, end=end
                )
            except FileNotFoundError:
                raise ObjectMissing(path) from None
        return bytes(found)

    async def size(self, path: str) -> int | None:
        """In bytes; None when there is no such object."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            try:
                found = await obstore.head_async(self._store, _checked(path))
            except FileNotFoundError:
                return None
        return int(found["size"])

    async def delete(self, path: str) -> None:
        """Safe to repeat."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            try:
                await obstore.delete_async(self._store, _checked(path))
            except FileNotFoundError:
                return


def _checked(path: str) -> str:
    parts = path.split("/")
    assert all(part and part not in (".", "..") for part in parts), f"not an object path: {path!r}"
    assert not {"\\", "\0"} & set(path), f"not an object path: {path!r}"
    return path
