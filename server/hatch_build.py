"""The contract is kept once, at the root of the repository; an installed server carries a copy of it, and so does a source
distribution, from which a wheel can then be built without the repository.

Not by `force-include` in pyproject.toml: that would also copy it for an editable install, where it would go stale.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COPY = "bolti_server/api/openapi.yaml"


class ContractHook(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "standard":
            return
        contract = Path(self.root).parent / "contracts" / "openapi.yaml"
        if contract.exists():
            build_data["force_include"][str(contract)] = COPY
        elif not (
            Path(self.root) / COPY
        ).exists():  # an unpacked source distribution has it in its place already
            raise FileNotFoundError(f"The contract is neither at {contract} nor at {COPY}.")
