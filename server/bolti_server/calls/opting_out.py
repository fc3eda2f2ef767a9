"""Who says that he wants no calls. Pure.

Rule: an opt-out is honoured at once and in the whole workspace (product.md §13), so it is not left to a language model to
notice. What counts is a sentence that asks the caller to stop calling; "I am not interested" is a no to an offer, not to
calls. Sources of the phrases: what scripts for the FCC's and TRAI's do-not-call rules name as requests.
"""

from __future__ import annotations

import re

_PHRASES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\b(stop|quit) (calling|phoning|ringing|contacting) (me|us|this number|here)\b",
        r"\b(do not|don[’']?t|never) (ever )?(call|phone|ring|contact) (me|us|this number|here) (again|any ?more|ever)\b",
        r"\bno (more|further) calls\b",
        r"\b(take|remove) (me|us|my number|this number) (off|from) (your|the|this|any) (calling )?(lists?|database)\b",
        r"\b(put|add) (me|us|my number|this number) (on|to) (your|the) (national )?do[- ]not[- ]call\b",
        r"\bunsubscribe (me|us|my number)\b",
        r"(मुझे|हमें|यहाँ) (दोबारा|फिर से|आगे से|अब) (कभी )?(कॉल|फ़ोन|फोन) (मत|न) (कीजिए|करना|करें|करो)",
        r"(कॉल|फ़ोन|फोन) करना बंद (कीजिए|करें|करो)",
    )
)


def is_opt_out(text: str) -> bool:
    """Whether somebody who says this wants no calls any more."""
    return any(pattern.search(text) for pattern in _PHRASES)
