"""Pages that go on by themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from typing import Generic, TypeVar

from bolti._pages import PageLike

T = TypeVar("T")
Fetch = Callable[[str | None], Awaitable[PageLike[T]]]


class AsyncPage(Generic[T]):
    """One page: `data`, and `next`, the cursor of the one after it (None on the last).

    `async for item in page` goes over this page and all that follow, fetching each when it is reached.
    """

    def __init__(self, answer: PageLike[T], fetch: Fetch[T]) -> None:
        self.data: list[T] = list(answer.data)
        self.next: str | None = answer.next
        self._fetch = fetch

    async def next_page(self) -> AsyncPage[T] | None:
        """The page after this one; None on the last."""
        if self.next is None:
            return None
        return AsyncPage(await self._fetch(self.next), self._fetch)

    async def __aiter__(self) -> AsyncIterator[T]:
        page: AsyncPage[T] | None = self
        while page is not None:
            for item in page.data:
                yield item
            page = await page.next_page()

    def __repr__(self) -> str:
        return f"<AsyncPage of {len(self.data)} items, next={self.next!r}>"


class AsyncListing(Generic[T]):
    """A list that has not been asked for yet: `await` it for its first page, or `async for` over all of it."""

    def __init__(self, fetch: Fetch[T]) -> None:
        self._fetch = fetch

    def __await__(self) -> Generator[object, None, AsyncPage[T]]:
        return self._first().__await__()

    async def __aiter__(self) -> AsyncIterator[T]:
        async for item in await self._first():
            yield item

    async def _first(self) -> AsyncPage[T]:
        return AsyncPage(await self._fetch(None), self._fetch)


def listing(fetch: Fetch[T]) -> AsyncListing[T]:
    """Asks nothing yet."""
    return AsyncListing(fetch)
