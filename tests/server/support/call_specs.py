"""Specs of simulated calls, short by default: a rule for goodbye, quick endpointing, small limits."""

from __future__ import annotations

from typing import Any

import msgspec

from bolti_server.worker_api.messages import (
    CallSpec,
    LineSpec,
    LlmRule,
    LlmSpec,
    RuleTool,
    SttSpec,
    ToolSpec,
    TtsSpec,
    TurnSpec,
)

CUT_CALL = ToolSpec(
    name="cut_call",
    description="Hang up.",
    parameters={
        "type": "object",
        "properties": {"reason": {"type": "string"}},
        "additionalProperties": False,
    },
    is_built_in=True,
)
CHECK_DAY = ToolSpec(
    name="check_day",
    description="Says which hours of a day are free.",
    parameters={
        "type": "object",
        "properties": {"day": {"type": "string"}},
        "required": ["day"],
        "additionalProperties": False,
    },
    timeout_ms=4000,
)
HANG_UP = RuleTool(name="cut_call", arguments={"reason": "all said"})


def rules(*each: LlmRule, default_reply: str | None = "I see.") -> LlmSpec:
    return LlmSpec(provider="simulated", rules=list(each), default_reply=default_reply)


def built_in(name: str) -> ToolSpec:
    """A built-in tool, as a model may call it with anything."""
    anything = {"type": "object", "properties": {}, "additionalProperties": True}
    return ToolSpec(name=name, description=name, parameters=anything, is_built_in=True)


def with_script(spec: CallSpec, *steps: str) -> CallSpec:
    """The callee of `spec` answers and does that (each step in YAML)."""
    script = "name: x\ncallee:\n" + "".join(f"  - {step}\n" for step in ("answer", *steps))
    script += "expect: [{ends_with: busy}]\n"
    return msgspec.structs.replace(spec, line=msgspec.structs.replace(spec.line, script=script))


def call_spec(**changes: Any) -> CallSpec:
    """`changes` replace members of the spec; `to_number` and `scenario` go into its line."""
    line = LineSpec(
        kind="simulated",
        from_number="+12025550199",
        to_number=changes.pop("to_number", "+12025550100"),
        scenario=changes.pop("scenario", None),
    )
    members: dict[str, Any] = {
        "conversation_id": "conv_00000000000000000000000001",
        "epoch": 1,
        "direction": "outbound",
        "agent_name": "Front desk",
        "instructions": "You answer the telephone.",
        "greeting": "Hello, this is the front desk.",
        "disclosure_text": None,
        "opt_out_key": None,
        "primary_language": "en-US",
        "timezone": "UTC",
        "stt": SttSpec(provider="simulated"),
        "llm": rules(),
        "tts": TtsSpec(provider="simulated"),
        "turn": TurnSpec(),
        "tools": [CUT_CALL],
        "line": line,
        "ring_timeout_seconds": 2,
        "max_duration_seconds": 30,
        "is_cap_shortened": False,
        "silence_timeout_seconds": 10,
        "is_recording_enabled": False,
    }
    return CallSpec(**{**members, **changes})
