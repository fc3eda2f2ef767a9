"""A user's regular expression, in time linear in the text: it must not hold up anybody else.

Rust's engine (through pydantic): no look-around, no back-references. Searched anywhere in the text, ignoring case.
"""

from __future__ import annotations

from pydantic_core import SchemaValidator, ValidationError, core_schema

from bolti_server.simulated.rules import complaint_about


def pattern_complaint(pattern: str) -> str | None:
    """What is wrong with it, in words; None where it can be used."""
    complaint = complaint_about(pattern)
    if complaint is None:
        return None
    why = " ".join(complaint.split()).rpartition("error: ")[2]
    return f"Not a regular expression that can be used here: {why}."


def is_found(pattern: str, text: str) -> bool:
    """Whether `text` has it somewhere. The pattern has been checked."""
    try:
        _compiled(pattern).validate_python(text)
    except ValidationError:
        return False
    return True


def _compiled(pattern: str) -> SchemaValidator:
    return SchemaValidator(
        core_schema.str_schema(pattern=f"(?i:{pattern})", regex_engine="rust-regex")
    )
