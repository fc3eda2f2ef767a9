"""One tree of refusals: every "no" that a caller can get is a `Refusal` with a stable code.

Rule: a refusal says what to do next, lists everything that is wrong at once (also across kinds), and its status is the
first that applies of `STATUS_ORDER`. Clients branch on `code`; prose may change. Shape on the wire: RFC 9457
`application/problem+json`, made in `web/problems.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs

STATUS_ORDER = (401, 404, 400, 403, 413, 415, 405, 406, 416, 412, 409, 422, 402, 429, 500, 502, 503)

JsonValue = str | int | float | bool | None | Sequence["JsonValue"] | Mapping[str, "JsonValue"]


@attrs.frozen
class Fault:
    """One thing that is wrong: `pointer` is a JSON pointer into the body, or `query:name`, `header:Name`, or ''."""

    code: str
    detail: str
    pointer: str = ""


class Refusal(Exception):
    """A request that we answer with a problem document.

    `extras` become top-level members of the problem (e.g. `balance_micros`); `headers` are sent along
    (e.g. `Retry-After`). Raising one inside a transaction rolls that transaction back.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        faults: Iterable[Fault] = (),
        extras: Mapping[str, JsonValue] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.faults = tuple(faults)
        self.extras = dict(extras or {})
        self.headers = dict(headers or {})


def not_found(what: str) -> Refusal:
    """The one answer for an id that does not exist and for an id of another workspace."""
    detail = f"There is no such {what} in this workspace. Check the id and the key's workspace."
    if what == "workspace":
        detail = "There is no such workspace, or the key is not of it. `current` is the key's own."
    return Refusal(404, "not_found", detail)


def combine(refusals: Sequence[Refusal]) -> Refusal:
    """All refusals as one: status and code of the first by `STATUS_ORDER`, every fault and every extra of all."""
    if not refusals:
        raise ValueError("combine() needs at least one refusal")
    ranked = sorted(refusals, key=lambda refusal: STATUS_ORDER.index(refusal.status))
    first = ranked[0]
    if len(ranked) == 1:
        return first
    faults = [f for r in ranked for f in (r.faults or (Fault(r.code, r.detail),))]
    extras: dict[str, JsonValue] = {}
    headers: dict[str, str] = {}
    for refusal in reversed(ranked):
        extras.update(refusal.extras)
        headers.update(refusal.headers)
    return Refusal(
        first.status, first.code, first.detail, faults=faults, extras=extras, headers=headers
    )
