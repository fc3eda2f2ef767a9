"""What a phone number can be told by itself, from dated data (the phonenumbers library). Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

import phonenumbers

from bolti_server.numbers.simulated_network import COUNTRY, is_simulated_number

NO_COUNTRY = "ZZ"  # of none: +800, +883 and the like (ISO 3166-1 leaves it to its users)
_CALLED = re.compile(r"\+?[0-9]{2,17}")


def complaint_about(phone_number: str) -> str | None:
    """Why no country has numbers like `phone_number` (E.164 in form); None: it may well be one.

    Possible, not assigned: an operator opens a range before it is in the library's data (phonenumbers' README on
    is_valid_number), and a number that nobody has costs nothing; the network answers `invalid_number`.
    """
    if is_simulated_number(phone_number):
        return None  # far the most frequent, and parsing costs more than the rest of the checks
    try:
        parsed = phonenumbers.parse(phone_number)
    except phonenumbers.NumberParseException:
        return "Its country code does not exist."
    match phonenumbers.is_possible_number_with_reason(parsed):
        case phonenumbers.ValidationResult.IS_POSSIBLE:
            return None
        case phonenumbers.ValidationResult.TOO_SHORT:
            return "It is too short for its country."
        case phonenumbers.ValidationResult.TOO_LONG:
            return "It is too long for its country."
        case _:
            return "Its country has no numbers of this length."


def country_of(phone_number: str) -> str:
    """ISO 3166-1 alpha-2 of a possible number; where several countries share its code, the one of its range, else the
    first of them; NO_COUNTRY for what belongs to none."""
    if is_simulated_number(phone_number):
        return COUNTRY
    parsed = phonenumbers.parse(phone_number)
    region = phonenumbers.region_code_for_number(parsed)
    if region is None and parsed.country_code is not None:
        region = phonenumbers.region_code_for_country_code(parsed.country_code)
    return region if region is not None and len(region) == 2 and region.isalpha() else NO_COUNTRY


def e164_of(called: str) -> str | None:
    """What a provider calls a number, as E.164: with `+`, without it, or with the international prefix 00. None where it
    can't be that (an extension, a name)."""
    if _CALLED.fullmatch(called) is None:
        return None
    digits = called.removeprefix("+").removeprefix("00")
    return f"+{digits}" if 7 <= len(digits) <= 15 and digits[0] != "0" else None


def caller_of(told: str, country: str) -> str | None:
    """Who calls, as E.164, of what a provider says: a number without + may be one of `country`. None: withheld, or none."""
    if _CALLED.fullmatch(told) is None:
        return None
    if not told.startswith("+") and country != NO_COUNTRY:
        try:
            parsed = phonenumbers.parse(told, country)
        except phonenumbers.NumberParseException:
            return None
        if phonenumbers.is_valid_number(parsed):
            return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return e164_of(told)


def named_by(called: str, among: Sequence[str]) -> str | None:
    """Which of the numbers `among` (E.164) is called as in its own country: with the trunk prefix (080…) or without. None
    where none is, or more than one."""
    if _CALLED.fullmatch(called) is None or called.startswith("+"):
        return None
    found = [each for each in among if called in _national_forms(each)]
    return found[0] if len(found) == 1 else None


def _national_forms(phone_number: str) -> frozenset[str]:
    parsed = phonenumbers.parse(phone_number)
    significant = phonenumbers.national_significant_number(parsed)
    dialed = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
    return frozenset({significant, f"0{significant}", "".join(filter(str.isdigit, dialed))})
