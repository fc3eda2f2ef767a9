"""What a request for a call can be told without looking at other calls: each check gives a Refusal or None.

Rule: nothing here stops at the first fault; the caller collects and `combine`s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import attrs

from bolti_server.agents.reading import AgentForCall
from bolti_server.agents.variables import canonical
from bolti_server.base.errors import Fault, Refusal
from bolti_server.calls.instants import instant_of_local, parse_instant, zone_of
from bolti_server.calls.limits import FURTHEST_SCHEDULE_DAYS
from bolti_server.calls.requests import Wanted
from bolti_server.contract.structs import Simulation
from bolti_server.numbers.phone_numbers import complaint_about
from bolti_server.numbers.reading import OutboundBinding, destination_refusal
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


def binding_refusals(
    wanted: Wanted, binding: OutboundBinding, *, has_rooms: bool
) -> Iterator[Refusal]:
    """What can't be done from this number."""
    if wanted.has("to_number"):
        to_number = wanted.request.to_number
        refusal = destination_refusal(binding.phone_number, to_number, simulated=binding.simulated)
        yield from _given(refusal)
    if wanted.request.simulation is not None and not binding.simulated:
        detail = f"Only a simulated number has scenarios, and {binding.phone_number} is a real one."
        yield _invalid("/simulation", detail)
    needs_room = wanted.has("simulation") and line_of(wanted.request.simulation, binding) == "room"
    if needs_room and not has_rooms:
        yield media_missing()


def line_of(simulation: Simulation | None, binding: OutboundBinding) -> str:
    """How a call from this number is carried: a real one always through a room, a simulated one as it asks."""
    if not binding.simulated:
        return "room"
    return "audio" if simulation is None else simulation.line.value


def inactive() -> Refusal:
    """409 agent_inactive."""
    detail = "The agent is inactive. Set is_active to true to place calls with it."
    return Refusal(409, "agent_inactive", detail)


def media_missing() -> Refusal:
    """409 media_server_missing: what needs a room, on a server that has no media server."""
    detail = (
        "This server has no media server, so it carries simulated calls only (their line is audio or text). "
        "Its operator sets LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET."
    )
    return Refusal(409, "media_server_missing", detail)


def number_refusal(to_number: str, *, field: str = "to_number") -> Refusal | None:
    """400 where no country has numbers like this."""
    why = complaint_about(to_number)
    return None if why is None else _no_number(field, why)


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
    if wanted.given_variables is None:
        return None
    return missing_values(wanted.given_variables, agent)


def missing_values(given_variables: Iterable[str], agent: AgentForCall) -> Refusal | None:
    """The same, of names that have a value."""
    given = {canonical(name) for name in given_variables}
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
