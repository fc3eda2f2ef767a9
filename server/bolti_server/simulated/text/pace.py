"""How long words take where no voice speaks them, and how many of them are heard of speech that breaks off. Pure.

Measured on the voice of the audio line (espeak-ng at 165 words a minute, `simulated.voices`), 13 sentences of 1 to 20 words,
least squares, 2026-11-25: 65 ms a letter, 460 ms a digit (numbers are read out), 520 ms for the end of a sentence inside a
text, 440 ms for a comma. Sentences come out within 10 %, a word alone and texts full of numbers do not.
"""

from __future__ import annotations

import re
import unicodedata

LETTER_MS = 65
DIGIT_MS = 460
SENTENCE_MS = 520
COMMA_MS = 440
SHORTEST_MS = 440
_SENTENCE_ENDS = re.compile(r"[.!?।…]+(?=\s)")


def spoken_ms(text: str, speed: float = 1.0) -> int:
    """Milliseconds that it takes to say `text`; `speed` 1 is the voice's own."""
    ms = SENTENCE_MS * len(_SENTENCE_ENDS.findall(text)) + COMMA_MS * text.count(",")
    for sign in text:
        if sign.isdigit():
            ms += DIGIT_MS
        elif unicodedata.category(sign)[0] in "LM":
            ms += LETTER_MS
    return round(max(SHORTEST_MS, ms) / speed)


def words_in(text: str, part: float) -> str:
    """The words that are over after `part` (0 to 1) of the time of `text`: they take time by their letters."""
    words = text.split()
    letters = sum(len(word) + 1 for word in words)
    passed = 0
    said: list[str] = []
    for word in words:
        passed += len(word) + 1
        if passed > part * letters:
            break
        said.append(word)
    return " ".join(said)
