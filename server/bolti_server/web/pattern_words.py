"""What the contract's patterns ask for, in words: nobody has to read a regular expression to mend a request. Pure.

A pattern of the contract that has no words here fails a test (tests/server/web/test_faults.py).
"""

from __future__ import annotations

import re

_ID = re.compile(r"^\^(\w+)_\[0-7\]\[0-9a-hjkmnp-tv-z\]\{25\}\$$")
_TEXT = "a text without U+0000"
_LINE = "a text of one line without U+0000"
_ZONE = "the name of a time zone in the IANA database, such as Asia/Kolkata"
_CURSOR = "a cursor: the `next` of the page before, unchanged"

_WORDS = {
    r"^[^\u0000]*$": _TEXT,
    r"^[^\u0000]+$": _TEXT,
    r"^[^\u0000]*\S[^\u0000]*$": "a text that is more than blanks, without U+0000",
    r"^[^\u0000\r\n]*$": _LINE,
    r"^[^\u0000\r\n]+$": _LINE,
    r"^[^\u0000\r\n:]+$": f"{_LINE} and without a colon",
    r'^[^\u0000\r\n:"]+$': f"{_LINE}, without a colon and without quotation marks",
    r"^[0-9]+$": "digits",
    r"^[0-9*#]$": "one key of a telephone: a digit, * or #",
    r"^[1-9][0-9]{0,8}$": "a number from 1",
    r"^[!-~]+$": "printable ASCII without blanks",
    r"^[A-Za-z0-9_=-]+$": _CURSOR,
    r"^[A-Za-z0-9_:.-]+$": "letters, digits and any of _ : . -",
    r"^[A-Za-z_][A-Za-z0-9_]{0,127}$": "a name of letters, digits and _ that does not begin with a digit",
    r"^[a-z][a-z0-9_]*$": "snake_case: small letters, digits and _, a letter first",
    r"^[a-z0-9_.-]+$": "the name of a provider as in the catalogue, such as deepgram",
    r"^[A-Z]{2}$": "an ISO 3166-1 country code of two capitals, such as IN",
    r"^[A-Z]{3}$": "an ISO 4217 currency code of three capitals, such as INR",
    r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$": "a BCP 47 language tag, such as en-US",
    r"^[A-Za-z][A-Za-z0-9_+/-]*$": _ZONE,
    r"^\+[1-9]\d{6,14}$": "a phone number in E.164 (+, country code, subscriber number, no spaces)",
    r"^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?([Zz]|[+-]\d{2}:\d{2})?$": (
        "an instant in RFC 3339, such as 2026-11-25T09:30:00+05:30 (without an offset only beside a timezone)"
    ),
    r"^https?://[^\s\u0000/?#][^\s\u0000]*$": "an address with https:// or http:// and a host",
    r"^https?://[^\s\u0000/?#][^\u0000\r\n]*$": "an address with https:// or http:// and a host, on one line",
    r"^https?://[^\s\u0000]+$": "an origin, such as https://example.com",
    r"^(/[^\u0000]*)?$": "a JSON pointer, such as /slots/0/time, or an empty text for the whole answer",
    r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$": "the name of an HTTP header",
    r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?$": (
        "a host name or an address, with :port where it is not the usual one, such as sip.example.com:5061"
    ),
    r"^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$": "an IP address or a network in CIDR form, such as 54.172.60.0/30",
    r'^(\*|"[!#-~]*"( *, *"[!#-~]*")*)$': 'the ETag as it was sent, with its quotation marks, such as "3", or *',
    r'^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$': (
        'the ETag as it was sent, with its quotation marks, such as "3", or *'
    ),
    r"^bytes=([0-9]+-[0-9]*|-[0-9]+)$": "one range of bytes, such as bytes=0-65535",
    r"^(current|ws_[0-7][0-9a-hjkmnp-tv-z]{25})$": "`current`, or an id: ws_ and 26 characters",
}


def words_for(pattern: str) -> str:
    """As in "Expected …."; the pattern itself where it has no words."""
    if found := _ID.match(pattern):
        return f"an id: {found[1]}_ and 26 characters, as the API gave it"
    return _WORDS.get(pattern, f"a text that matches {pattern}")
