"""The simulated network's numbers: +1 202 555 0100 to 0199, reserved for fiction, so that nothing real can ring.

Rule: a simulated trunk reaches only these, and no other trunk reaches any of them.
"""

from __future__ import annotations

import re

COUNTRY = "US"
# 00 to 17 are callees with a part to play (product.md, section 12): whoever had one of them could not call it.
OFFERED = tuple(f"+120255501{number:02d}" for number in range(18, 100))
_OWNED = re.compile(r"\+120255501[0-9]{2}")


def is_simulated_number(phone_number: str) -> bool:
    """Whether the simulated network owns `phone_number` (E.164)."""
    return _OWNED.fullmatch(phone_number) is not None
