"""Pages that go on by themselves. Written by hand: the asynchronous twin needs an object to await first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from bolti._pages import PageLike

T = TypeVar("T")
Fetch = Callable[[str | None], PageLike[T]]


class Page(Generic[T]):
    """One page: `data`, and `next`, the cursor of the one after it (None on the last).

    `for item in page` goes over this page and all that follow, fetching each when it is reached.
    """

    def __init__(self, answer: PageLike[T], fetch: Fetch[T]) -> None:
        self.data: list[T] = list(answer.data)
        self.next: str | None = answer.next
        self._fetch = fetch

    def next_page(self) -> Page[T] | None:
        """The page after this one; None on the last."""
        if self.next is None:
            return None
        return Page(self._fetch(self.next), self._fetch)

    def __iter__(self) -> Iterator[T]:
        page: Page[T] | None = self
        while page is not None:
            yield from page.data
            page = page.next_page()

    def __repr__(self) -> str:
        return f"<Page of {len(self.data)} items, next={self.next!r}>"


def listing(fetch: Fetch[T]) -> Page[T]:
    """The first page, fetched."""
    return Page(fetch(None), fetch)
