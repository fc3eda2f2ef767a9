"""The base of all models: answers are open, so what a newer server adds is kept and readable.

`defer_build`: a program that places calls uses a handful of the models; the others would cost it 150 ms at import.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """A typed answer. Unknown members are kept; attributes are read, not written."""

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=(), defer_build=True)
