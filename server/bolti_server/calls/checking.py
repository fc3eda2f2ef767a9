"""What a request for a call can be told without looking at other calls: each check gives a Refusal or None.

Rule: nothing here stops at the first fault; the caller collects and `combine`s.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import attrs
import phonenumbers

from bolti_server.agents.reading import AgentForCall
from bolti_server.agents.variables import canonical
from bolti_server.base.errors import Fault, Refusal
from bolti_server.calls.instants import instant_of_local, parse_instant, zone_of
from bolti_server.calls.limits import FURTHEST_SCHEDULE_DAYS
from bolti_server.calls.requests import Wanted
from bolti_server.numbers.reading import OutboundBinding, destination_refusal
from bolti_server.numbers.simulated_network import is_simulated_number
from bolti_server.simulated.scenarios.parsing import BrokenScenario, parse


def with_checked_number(wanted: Wanted) -> tuple[Wanted, list[Refusal]]:
    """(the request, what is wrong with its number): one that is none is not looked at any further."""
    if not wanted.has("to_number"):
        return wanted, []
    refusal = number_refusal(wanted.request.to_number)
    if refusal is None:
        return wanted, []
    return attrs.evolve(wanted, unread=wanted.unread | {"to_number"}), [refusal]


def request_refusals(wanted: Wanted, now: datetime | None) -> Iterator[Refusal]:
    """What else is wrong with the request itself. `now` (the database's) is needed where it has a `scheduled_at`."""
    if wanted.complaint is not None:
        yield wanted.complaint
    if wanted.has("scheduled_at", "timezone"):
        instant = scheduled_instant(wanted, now)
        if isinstance(instant, Refusal):
            yield instant
    if wanted.has("simulation"):
        yield from _given(_simulation_refusal(wanted))


def agent_refusals(wanted: Wanted, agent: AgentForCall) -> Iterator[Refusal]:
    """What the agent has against it: variables that its texts need, and being inactive."""
    yield from _given(missing_variables(wanted, agent))
    if not agent.is_active:
        yield inactive()


def binding_refusals(wanted: Wanted, binding: OutboundBinding) -> Iterator[Refusal]:
    """What can't be done from this number."""
    if wanted.has("to_number"):
        yield from _given(destination_refusal(binding, wanted.request.to_number))
    if wanted.request.simulation is not None and not binding.simulated:
        detail = f"Only a simulated number has scenarios, and {binding.phone_number} is a real one."
        yield _invalid("/simulation", detail)


def inactive() -> Refusal:
    """409 agent_inactive."""
    detail = "The agent is inactive. Set is_active to true to place calls with it."
    return Refusal(409, "agent_inactive", detail)


def number_refusal(to_number: str, *, field: str = "to_number") -> Refusal | None:
    """400 where no country has numbers like this.

    Possible, not assigned: an operator opens a range before it is in the library's data (phonenumbers' README on
    is_valid_number), and a number that nobody has costs nothing; the network answers `invalid_number`.
    """
    if is_simulated_number(to_number):
        return (
            None  # also far the most frequent, and parsing costs more than the rest of the checks
        )
    try:
        parsed = phonenumbers.parse(to_number)
    except phonenumbers.NumberParseException:
        return _no_number(field, "Its country code does not exist.")
    match phonenumbers.is_possible_number_with_reason(parsed):
        case phonenumbers.ValidationResult.IS_POSSIBLE:
            return None
        case phonenumbers.ValidationResult.TOO_SHORT:
            return _no_number(field, "It is too short for its country.")
        case phonenumbers.ValidationResult.TOO_LONG:
            return _no_number(field, "It is too long for its country.")
        case _:
            return _no_number(field, "Its country has no numbers of this length.")


def scheduled_instant(wanted: Wanted, now: datetime | None) -> datetime | Refusal | None:
    """When the call is to be placed, in UTC; None: now. A Refusal where that can't be told, is past or too far."""
    request = wanted.request
    try:
        zone = None if request.timezone is None else zone_of(request.timezone)
    except ValueError as error:
        return _invalid("/timezone", str(error))
    if request.scheduled_at is None:
        return None
    assert now is not None, "the caller looks at the clock where there is a scheduled_at"
    try:
        instant = parse_instant(request.scheduled_at)
        if instant.tzinfo is None:
            if zone is None:
                detail = "Has no offset. Add one (+05:30, Z), or name an IANA timezone beside it."
                return _invalid("/scheduled_at", detail)
            instant = instant_of_local(instant, zone)
    except ValueError as error:
        return _invalid("/scheduled_at", str(error))
    if instant <= now:
        detail = "Is in the past. Leave scheduled_at out to call now."
        return _invalid("/scheduled_at", detail)
    if instant > now + timedelta(days=FURTHEST_SCHEDULE_DAYS):
        detail = f"Is too far away: at most {FURTHEST_SCHEDULE_DAYS} days from now."
        return _invalid("/scheduled_at", detail)
    return instant


def missing_variables(wanted: Wanted, agent: AgentForCall) -> Refusal | None:
    """400 with every name that the agent's texts use without a default and that has no value."""
    if wanted.given_variables is None or not agent.required_variables:
        return None
    given = {canonical(name) for name in wanted.given_variables}
    missing = [name for name in agent.required_variables if name not in given]
    if not missing:
        return None
    faults = [
        Fault(
            "missing_variable",
            f"Is required: the agent uses {{{{ {name} }}}} without a default.",
            f"/variable_values/{name.replace('~', '~0').replace('/', '~1')}",
        )
        for name in missing
    ]
    detail = f"The agent's texts need values for: {', '.join(missing)}."
    return Refusal(400, "missing_variables", detail, faults=faults, extras={"missing": missing})


def _simulation_refusal(wanted: Wanted) -> Refusal | None:
    """400 with everything that is wrong with the script, each with line and column."""
    simulation = wanted.request.simulation
    if simulation is None or simulation.script is None:
        return None
    if simulation.scenario is not None:
        return _invalid("/simulation", "scenario and script are two callees: give one of them.")
    try:
        parse(simulation.script)
    except BrokenScenario as broken:
        faults = [
            Fault("invalid_scenario", str(each), "/simulation/script") for each in broken.complaints
        ]
        detail = f"The scenario in simulation.script is broken: {broken.complaints[0]}"
        return Refusal(400, "validation_failed", detail, faults=faults)
    return None


def _given(refusal: Refusal | None) -> Iterator[Refusal]:
    if refusal is not None:
        yield refusal


def _no_number(field: str, why: str) -> Refusal:
    fault = Fault("invalid_phone_number", f"{why} Expected e.g. +919876543210.", f"/{field}")
    detail = (
        f"{field} is not a phone number in E.164 (+, country code, subscriber number, no spaces)."
    )
    return Refusal(400, "invalid_phone_number", detail, faults=[fault])


def _invalid(pointer: str, detail: str) -> Refusal:
    fault = Fault("invalid", detail, pointer)
    return Refusal(400, "validation_failed", f"{pointer[1:]}: {detail}", faults=[fault])
