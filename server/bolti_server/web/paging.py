"""Cursor pages, newest first or oldest first: the cursor is the id of the last item, since ids sort by creation time."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import attrs
from litestar import Request

from bolti_server.base.errors import Fault, Refusal
from bolti_server.base.ids import is_id
from bolti_server.web.parameters import query_of

T = TypeVar("T")
_NUMBER = re.compile("[1-9][0-9]{0,8}")


@attrs.frozen
class Order:
    """`sql` for `order by id …`; `past`: what compares an id with the last one of the page before."""

    sql: str
    past: str


NEWEST_FIRST = Order("desc", "<")
OLDEST_FIRST = Order("asc", ">")


@attrs.frozen
class PageRequest:
    """At most `limit` items (1 to 100) that come after `before_id` in the list, which is newest first, or oldest first
    where the operation takes `sort` and the caller wants that."""

    limit: int
    before_id: str | None
    is_oldest_first: bool = False

    @property
    def order(self) -> Order:
        return OLDEST_FIRST if self.is_oldest_first else NEWEST_FIRST


def page_request(request: Request[Any, Any, Any], *, id_prefix: str) -> PageRequest:
    """What `limit` and `after` say. Raises Refusal 400 where `after` is not a cursor of this list."""
    query = query_of(request)
    after: str | None = query.get("after")
    if after is not None and not is_id(after, id_prefix):
        raise _not_a_cursor()
    return PageRequest(query["limit"], after, query.get("sort") == "oldest")


def numbered_page_request(request: Request[Any, Any, Any]) -> tuple[int, int | None]:
    """(limit, the number before which the page begins), for lists of what is numbered within its owner."""
    query = query_of(request)
    after: str | None = query.get("after")
    if after is None:
        return query["limit"], None
    if _NUMBER.fullmatch(after) is None:
        raise _not_a_cursor()
    return query["limit"], int(after)


def page_of(
    items: Sequence[T], page: PageRequest, id_of: Callable[[T], str]
) -> tuple[list[T], str | None]:
    """(the page's items, the cursor of the next page or None), of items that were fetched with `limit + 1`."""
    shown = list(items[: page.limit])
    return shown, id_of(shown[-1]) if len(items) > page.limit else None


def _not_a_cursor() -> Refusal:
    detail = "Not a cursor of this list. Hand back the `next` of the page before, unchanged."
    fault = Fault("invalid_cursor", detail, "query:after")
    return Refusal(400, "validation_failed", f"after: {detail}", faults=[fault])
