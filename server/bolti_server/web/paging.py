"""Cursor pages, newest first: the cursor is the id of the last item, since ids sort by creation time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import attrs
from litestar import Request

from bolti_server.base.errors import Fault, Refusal
from bolti_server.base.ids import is_id
from bolti_server.web.parameters import query_of

T = TypeVar("T")


@attrs.frozen
class PageRequest:
    """At most `limit` items (1 to 100) that come after `before_id` in the list, which is newest first."""

    limit: int
    before_id: str | None


def page_request(request: Request[Any, Any, Any], *, id_prefix: str) -> PageRequest:
    """What `limit` and `after` say. Raises Refusal 400 where `after` is not a cursor of this list."""
    query = query_of(request)
    after: str | None = query.get("after")
    if after is not None and not is_id(after, id_prefix):
        detail = "Not a cursor of this list. Hand back the `next` of the page before, unchanged."
        fault = Fault("invalid_cursor", detail, "query:after")
        raise Refusal(400, "validation_failed", f"after: {detail}", faults=[fault])
    return PageRequest(query["limit"], after)


def page_of(
    items: Sequence[T], page: PageRequest, id_of: Callable[[T], str]
) -> tuple[list[T], str | None]:
    """(the page's items, the cursor of the next page or None), of items that were fetched with `limit + 1`."""
    shown = list(items[: page.limit])
    return shown, id_of(shown[-1]) if len(items) > page.limit else None
