"""What a page of an answer looks like, whatever it lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

T_co = TypeVar("T_co", covariant=True)


class PageLike(Protocol[T_co]):
    """A page as the API answers it."""

    @property
    def data(self) -> Sequence[T_co]:
        """The items."""
        ...

    @property
    def next(self) -> str | None:
        """Where the next page starts; None on the last."""
        ...
