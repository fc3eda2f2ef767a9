"""The object store: an object is put, read and deleted."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from obstore.exceptions import BaseError

from bolti_server.base.storage import ObjectStore, ObjectStoreUnusable
from bolti_server.entrypoints.doctor.findings import Finding, ok, problem

CONTENT = b"bolti-server doctor was here"
ADVICE = "Correct BOLTI_OBJECT_STORE_URL and its credentials, or the rights of the folder."


async def look_at_objects(url_or_path: str) -> Sequence[Finding]:
    path = f"doctor/{uuid4().hex}"
    try:
        store = ObjectStore.open(url_or_path)
        await store.put(path, CONTENT)
        try:
            read = await store.get_range(path, 0, len(CONTENT))
        finally:
            await store.delete(path)
    except (ObjectStoreUnusable, BaseError, OSError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        return [problem("object store", f"can't be written and read: {reason}.", ADVICE)]
    if read != CONTENT:
        return [problem("object store", "gives back something else than was put.", ADVICE)]
    return [ok("object store", "an object was put, read and deleted.")]
