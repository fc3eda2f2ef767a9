"""What schemathesis is told besides the contract: which of its findings are none. Loaded by its own process, see fuzz.py.

Rule: a finding is dropped only by a fact that was seen on the wire.

ensure_resource_availability ("created resource not found") knows the deletions of the current scenario, and those by DELETE
alone. What it can't know, and found here on 2026-11-29 (`--phases stateful --seed 81`, two scenarios):

    POST   /workspaces/current/webhook-endpoints   Idempotency-Key: 00   201  whep_1
    DELETE /workspaces/current/webhook-endpoints/whep_1                  204
    …and in a later scenario
    POST   /workspaces/current/webhook-endpoints   Idempotency-Key: 00   201  whep_1, Idempotency-Replayed: true
    DELETE /workspaces/current/webhook-endpoints/whep_1                  404

A replayed answer is the first answer again, whatever became of the thing since (product.md, section 3), so the 404 is right.
So is it for a number's binding to an agent where the number was given to another agent in between: that ends the binding
without a DELETE of it. Both promises are tests: tests/server/web/test_idempotency.py, tests/server/numbers/test_numbers.py.

positive_data_acceptance ("schema-valid request rejected") knows shapes. A request must have more than a shape: ids in it
must exist, a cursor be of its list, an Idempotency-Key be new, a provider have the model. A refusal is a finding here only
where it blames the body for nothing but its shape, or does not read it.

negative_data_rejection ("schema-violating request accepted") counts requests as broken that schemathesis itself describes as
a "positive test case": a link had put a good value where the broken one was (2026-11-29, stateful: a restore of version 1 of
an agent, without a body, was answered 201, as it should be).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import schemathesis

NOT_FOUND, ACCEPTED, REJECTED = "ST302", "ST201", "ST202"
# A line a fact: `ended <id>`, or `bound <binding> <number> <agent>`. In the folder of the run, because the next round is
# another process on the same server, and its keys may be replayed too.
FACTS = Path("facts.txt")
# As web/faults.py speaks of shapes; whatever else stands in an answer was found by looking further.
OF_SHAPE = re.compile(
    r"Is required\.$|There is no such field\.$|Expected |Needs at least|May have at most"
    r"|Must be (at least|at most|more than|less than)|Has an entry twice|Has a name that is not allowed"
    r"|Fits none of the allowed shapes|Is not valid \("
)
CONDITIONS = (402, 412, 422)  # credit, version, key: none of them is in a schema

_ended: set[str] = set()
_bound: dict[str, tuple[str, str]] = {}  # binding: number and agent


def _learn(fact: str) -> None:
    kind, thing, *rest = fact.split()
    if kind == "ended":
        _ended.update([thing, *(binding for binding, places in _bound.items() if thing in places)])
        return
    number, agent = rest
    _ended.update(other for other, at in _bound.items() if at[0] == number and other != thing)
    _bound[thing] = (number, agent)


def _tell(fact: str) -> None:
    _learn(fact)
    with FACTS.open("a", encoding="utf-8") as file:
        file.write(fact + "\n")


for _line in FACTS.read_text(encoding="utf-8").splitlines() if FACTS.exists() else ():
    _learn(_line)


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    if case.method.upper() == "DELETE" and 200 <= response.status_code < 300:
        _tell(f"ended {list(case.path_parameters.values())[-1]}")
    elif (
        case.operation.definition.raw.get("operationId") == "assignPhoneNumber"
        and response.status_code == 201
        and "idempotency-replayed" not in response.headers  # that is an old fact
    ):
        made = response.json()
        _tell(f"bound {made['id']} {made['number_id']} {made['agent_id']}")


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    """False drops it."""
    if failure.code == NOT_FOUND:
        return not any(each in _ended for each in (case.path_parameters or {}).values())
    if failure.code == ACCEPTED:
        return not is_whole(failure.message)
    if failure.code == REJECTED:
        return not is_about_more_than_shape(response.status_code, response.json())
    return True


def is_whole(finding: str) -> bool:
    """Of a request that is said to break the contract: whether nothing of it does."""
    return "Invalid component: positive test case" in finding


def is_about_more_than_shape(status: int, problem: dict[str, Any]) -> bool:
    """Of a refusal: whether it names something that no schema says."""
    if status in CONDITIONS:
        return True
    # Headers and parameters count as more: the coverage phase fills those of a pattern with "0".
    return any(
        not each["pointer"].startswith("/") or not OF_SHAPE.match(each["detail"])
        for each in problem.get("errors", ())
    )
