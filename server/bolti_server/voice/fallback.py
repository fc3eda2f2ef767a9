"""The vendors of one kind, in the order in which the agent wants them asked.

Rules: whoever has failed is asked after the others for a while, and whoever refused us for good (a wrong key, an unknown
model) only where nobody else is left. Nobody is asked twice for one answer just to see whether it works again: a
vendor is tried again when its turn comes, and that answer is used (decision 0010 says why this is not LiveKit's adapter).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import Generic, Literal, TypeVar

import attrs
from livekit.agents import APIStatusError

from bolti_server.base.logging import get_logger
from bolti_server.models.unavailable import ModelUnavailable

Component = Literal["stt", "llm", "tts"]
Made = TypeVar("Made")

ASIDE_SECONDS = 30.0
ATTEMPTS_ALONE = 3
# Before the second and the third attempt at the same vendor: one that counts requests wants a moment.
PAUSES_SECONDS = (0.2, 0.8)
_TRANSIENT_STATUS = frozenset({408, 429, 499})

log = get_logger("models")


@attrs.frozen(eq=False)
class Vendor(Generic[Made]):
    """One model of a provider, by our own names; `made` is the plugin's object."""

    provider: str
    model: str
    made: Made


class Vendors(Generic[Made]):
    """At least one. What becomes of each is told in the log: `model_unavailable`, `model_available`."""

    def __init__(self, component: Component, vendors: Sequence[Vendor[Made]]) -> None:
        assert vendors, "a call has a model of each kind"
        self.component: Component = component
        self._vendors = tuple(vendors)
        self._aside_until: dict[Vendor[Made], float] = {}  # of the monotonic clock

    @property
    def all(self) -> tuple[Vendor[Made], ...]:
        """In the agent's order."""
        return self._vendors

    @property
    def first(self) -> Vendor[Made]:
        """Who is asked next."""
        return self.in_order()[0]

    def in_order(self) -> list[Vendor[Made]]:
        """Each once: those that work in the agent's order, then those that failed, the longest ago first."""
        now = time.monotonic()

        def rank(vendor: Vendor[Made]) -> float:
            until = self._aside_until.get(vendor, 0.0)
            return until if until > now else 0.0

        return sorted(self._vendors, key=rank)

    def attempts(self) -> list[Vendor[Made]]:
        """Whom to ask for one answer: each once, without those that refused us; a vendor that is alone, three times."""
        willing = [each for each in self.in_order() if not self._has_refused(each)]
        found = willing or self.in_order()[:1]
        return found * ATTEMPTS_ALONE if len(found) == 1 else found

    def next(self, tried: Collection[Vendor[Made]]) -> Vendor[Made] | None:
        """The next to ask; None when all of them were tried."""
        left = [each for each in self.in_order() if each not in tried]
        willing = [each for each in left if not self._has_refused(each)]
        if willing:
            return willing[0]
        return left[0] if left and len(left) == len(self._vendors) else None

    def failed(self, vendor: Vendor[Made], error: Exception) -> None:
        was_aside = vendor in self._aside_until
        self._aside_until[vendor] = (
            float("inf") if is_final(error) else time.monotonic() + ASIDE_SECONDS
        )
        log.warning(
            "model_failed" if was_aside else "model_unavailable",
            component=self.component,
            provider=vendor.provider,
            model=vendor.model,
            detail=text_of(error),
        )

    def worked(self, vendor: Vendor[Made]) -> None:
        if self._aside_until.pop(vendor, None) is not None:
            log.info(
                "model_available",
                component=self.component,
                provider=vendor.provider,
                model=vendor.model,
            )

    def is_alone(self, vendor: Vendor[Made]) -> bool:
        """Whether nobody else can be asked."""
        return all(each is vendor or self._has_refused(each) for each in self._vendors)

    def have_all_refused(self) -> bool:
        return all(self._has_refused(each) for each in self._vendors)

    def is_hopeless_after(self, error: Exception) -> bool:
        """Whether `error` was the last word: nobody is left who could do it."""
        return is_final(error) and self.have_all_refused()

    def complaint(self, error: Exception) -> str:
        """Why the call ends, for its record."""
        names = " and ".join(dict.fromkeys(each.provider for each in self._vendors))
        return f"{self.component} of {names} failed: {text_of(error)}"

    def _has_refused(self, vendor: Vendor[Made]) -> bool:
        return self._aside_until.get(vendor, 0.0) == float("inf")


def is_final(error: Exception) -> bool:
    """Whether trying again can't help: the vendor refused the key, the model or the request itself."""
    if isinstance(error, ModelUnavailable):
        return True
    return (
        isinstance(error, APIStatusError)
        and 400 <= error.status_code < 500
        and error.status_code not in _TRANSIENT_STATUS
    )


def text_of(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:300]
