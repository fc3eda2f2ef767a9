"""What is wrong with an agent, found when it is saved: all of it at once, with pointers. Pure.

Rule: an agent that is saved can hold a call. What a JSON Schema of the contract can say is checked there; here is what
takes knowledge: the catalogue, templates, time zones, patterns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bolti_server.agents.tool_checks import template_faults
from bolti_server.agents.variables import required_names, tags
from bolti_server.base.errors import Fault
from bolti_server.contract.structs import AgentConfiguration
from bolti_server.models import catalogue
from bolti_server.simulated.rules import complaint_about

# A call's `variable_values` take these names and so many of them (VariableValues in the contract).
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
MAX_VARIABLES = 200

_TEXTS = ("system_prompt", "first_message", "persona", "goal", "guardrails", "disclosure_text")


def texts_of(configuration: AgentConfiguration) -> dict[str, str]:
    """The texts in which variables may stand, by field."""
    return {name: getattr(configuration, name) or "" for name in _TEXTS}


def faults_of_configuration(
    configuration: AgentConfiguration, allowed_base_urls: Iterable[str]
) -> list[Fault]:
    """Everything that would keep the agent from working, but for tools that do not exist."""
    return [
        *catalogue.faults_of(
            configuration.stt,
            configuration.llm,
            configuration.tts,
            configuration.primary_language,
            allowed_base_urls,
        ),
        *_text_faults(configuration),
        *_timezone_faults(configuration.timezone),
        *_turn_faults(configuration),
        *_rule_faults(configuration),
    ]


def _text_faults(configuration: AgentConfiguration) -> Iterator[Fault]:
    texts = texts_of(configuration)
    for field, text in texts.items():
        yield from template_faults(text, f"/{field}")
        names = dict.fromkeys(tag.name for tag in tags(text))
        for name in names:
            if _NAME.fullmatch(name) is None:
                detail = (
                    f"{name[:60]!r} can't be given a value: a variable's name is of a-z, A-Z, 0-9 and _, "
                    "does not begin with a digit, and has at most 128 characters."
                )
                yield Fault("invalid_template", detail, f"/{field}")
    required = required_names(texts.values())
    if len(required) > MAX_VARIABLES:
        detail = f"The texts need {len(required)} variables; a call can give {MAX_VARIABLES}."
        yield Fault("too_many", detail, "/system_prompt")


def _timezone_faults(timezone: str) -> Iterator[Fault]:
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        detail = f"{timezone!r} is no time zone of the IANA database, such as Asia/Kolkata or UTC."
        yield Fault("unknown_timezone", detail, "/timezone")


def _turn_faults(configuration: AgentConfiguration) -> Iterator[Fault]:
    turn = configuration.turn
    if turn.endpointing_max_delay_ms < turn.endpointing_min_delay_ms:
        detail = (
            f"The most silence waited for ({turn.endpointing_max_delay_ms} ms) is less than the least "
            f"({turn.endpointing_min_delay_ms} ms)."
        )
        yield Fault("out_of_range", detail, "/turn/endpointing_max_delay_ms")


def _rule_faults(configuration: AgentConfiguration) -> Iterator[Fault]:
    for index, rule in enumerate(configuration.llm.rules):
        complaint = complaint_about(rule.hear)
        if complaint is not None:
            yield Fault("invalid_pattern", complaint, f"/llm/rules/{index}/hear")
