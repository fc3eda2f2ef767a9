"""A scenario's text becomes a Scenario, or everything that is wrong with it at once, each with line and column.

    name: Booking
    callee:
      - ring: 500
      - answer
      - wait_for_agent
      - say: I would like an appointment tomorrow.
      - wait_for_agent
    expect:
      - agent_says: {contains: tomorrow}
      - ends_with: remote_hangup

Rule: strict. An unknown name, a value of another kind, one over its limit is an error, and nothing is guessed.
"""

from __future__ import annotations

from bolti_server.simulated.scenarios.expectations import read_expectations
from bolti_server.simulated.scenarios.nodes import (
    Complaint,
    Members,
    Node,
    NotReadable,
    Scalar,
    node_of,
    plain,
)
from bolti_server.simulated.scenarios.reading import Reader, kind_of
from bolti_server.simulated.scenarios.scenario import (
    LONGEST_DESCRIPTION,
    LONGEST_NAME,
    LONGEST_SCRIPT,
    MOST_VARIABLES,
    Scenario,
)
from bolti_server.simulated.scenarios.steps import read_callee

_MEMBERS = ("name", "description", "agent", "variable_values", "callee", "expect")


class BrokenScenario(Exception):
    """`complaints` are all that is wrong, in the order of the text."""

    def __init__(self, complaints: list[Complaint]) -> None:
        super().__init__("\n".join(str(each) for each in complaints))
        self.complaints = complaints


def parse(text: str) -> Scenario:
    """Raises BrokenScenario."""
    if len(text) > LONGEST_SCRIPT:
        detail = f"A scenario may have at most {LONGEST_SCRIPT} characters; this has {len(text)}."
        raise BrokenScenario([Complaint(1, 1, detail)])
    try:
        node = node_of(text)
    except NotReadable as error:
        raise BrokenScenario([error.complaint]) from error
    if node is None or (isinstance(node, Scalar) and node.value is None):
        raise BrokenScenario(
            [Complaint(1, 1, "There is nothing here: a scenario needs name and callee.")]
        )
    reader = Reader()
    scenario = _scenario(reader, node)
    if reader.complaints:
        raise BrokenScenario(reader.complaints)
    return scenario


def _scenario(reader: Reader, node: Node) -> Scenario:
    members = reader.members(node, "A scenario", _MEMBERS, required=("name", "callee"))
    nothing = Scalar(node.place, "", None)
    course = read_callee(reader, members["callee"]) if "callee" in members else None
    name = reader.text(members["name"], "name", LONGEST_NAME) if "name" in members else None
    description = None
    if "description" in members:
        description = reader.text(members["description"], "description", LONGEST_DESCRIPTION)
    agent = members.get("agent", nothing)
    if agent is not nothing and not isinstance(agent, Members):
        reader.complain(
            agent, f"agent has members: those of a new agent. This is {kind_of(agent)}."
        )
    reader.unique(agent)
    return Scenario(
        name=name or "",
        description=description or "",
        ring_ms=None if course is None else course.ring_ms,
        failure=None if course is None else course.failure,
        steps=() if course is None else course.steps,
        expectations=read_expectations(reader, members["expect"]) if "expect" in members else (),
        agent=_free(agent) if isinstance(agent, Members) else None,
        variable_values=_variables(reader, members["variable_values"])
        if "variable_values" in members
        else {},
    )


def _free(node: Members) -> dict[str, object]:
    return {key.text: plain(value) for key, value in node.members}


def _variables(reader: Reader, node: Node) -> dict[str, object]:
    if not isinstance(node, Members):
        reader.complain(
            node, f"variable_values has members (name: value). This is {kind_of(node)}."
        )
        return {}
    reader.unique(node)
    if len(node.members) > MOST_VARIABLES:
        reader.complain(node.members[MOST_VARIABLES][0], f"At most {MOST_VARIABLES} variables.")
    for key, value in node.members:
        if not isinstance(value, Scalar) or value.value is None:
            reader.complain(
                value, f"The variable {key.text[:100]} is a text, a number, true or false."
            )
    return _free(node)
