"""The contract is kept once, at the root of the repository; an installed server carries a copy of it.

Not by `force-include` in pyproject.toml: that would also copy it for an editable install, where it would go stale.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ContractHook(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "standard":
            contract = Path(self.root).parent / "contracts" / "openapi.yaml"
            build_data["force_include"][str(contract)] = "bolti_server/api/openapi.yaml"
