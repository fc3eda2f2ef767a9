"""Any order of holds, settlements, releases, purchases and top-ups leaves the ledger where plain arithmetic says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import attrs
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from tests.server.support.databases import TestDatabases
from tests.server.support.invariants import broken_invariants

from bolti_server.base.db import Database, Tx
from bolti_server.base.errors import Refusal
from bolti_server.billing import ledger
from bolti_server.billing.pricing import Rate, price_micros, seconds_covered
from bolti_server.workspaces.creating import create_organization

T = TypeVar("T")
LIVE_GRANT = 300_000_000
names = st.integers(0, 7).map(lambda n: f"call-{n}")


class RolledBack(Exception):
    pass


@attrs.define
class ModelHold:
    amount_micros: int
    rate: Rate
    settled_micros: int | None = None  # None: open


class LedgerMachine(RuleBasedStateMachine):
    """Against the database of `run` (set by the test); each example has an organization of its own."""

    run: Callable[[Callable[[Tx], Awaitable[Any]]], Any]

    def __init__(self) -> None:
        super().__init__()
        self.run = type(self).run
        self.rate = Rate()
        self.available, self.spent = LIVE_GRANT, 0
        self.holds: dict[str, ModelHold] = {}
        self.topped_up: set[str] = set()
        self.bought: dict[str, int] = {}

        async def begin(tx: Tx) -> tuple[str, str]:
            made = await create_organization(tx, name="Machine")
            await ledger.open_ledgers(tx, made.organization_id, live_grant_micros=LIVE_GRANT)
            return made.organization_id, made.workspace_id

        self.organization_id, self.workspace_id = self.run(begin)

    def reference(self, name: str) -> str:
        return f"{self.workspace_id}:{name}"

    @rule(name=names, wanted=st.integers(1, 4000))
    def hold(self, name: str, wanted: int) -> None:
        async def work(tx: Tx) -> ledger.Hold | Refusal:
            return await ledger.hold(
                tx,
                organization_id=self.organization_id,
                workspace_id=self.workspace_id,
                ledger="live",
                reference=self.reference(name),
                wanted_seconds=wanted,
            )

        result = self.run(work)
        if name in self.holds:
            assert isinstance(result, ledger.Hold)
            assert result.amount_micros == self.holds[name].amount_micros
            return
        covered = min(wanted, seconds_covered(self.rate, self.available))
        if covered < min(wanted, 60):
            assert isinstance(result, Refusal)
            assert result.extras["balance_micros"] == self.available
            return
        assert isinstance(result, ledger.Hold)
        amount = price_micros(self.rate, covered)
        assert (result.amount_micros, result.covered_seconds) == (amount, covered)
        assert result.is_shortened == (covered < wanted)
        self.holds[name] = ModelHold(amount, self.rate)
        self.available -= amount

    @rule(name=names, billed=st.integers(0, 5000), is_rolled_back=st.booleans())
    def settle(self, name: str, billed: int, is_rolled_back: bool) -> None:
        async def work(tx: Tx) -> int | None:
            try:
                done = await ledger.settle(
                    tx, self.workspace_id, self.reference(name), billed_seconds=billed
                )
            except ledger.NoHold:
                return None
            if is_rolled_back:
                raise RolledBack
            return done.amount_micros

        if is_rolled_back and name in self.holds:
            with contextmanager(_rolled_back)():
                self.run(work)
            return
        charged = self.run(work)
        held = self.holds.get(name)
        if held is None:
            assert charged is None
            return
        if held.settled_micros is None:
            held.settled_micros = min(held.amount_micros, price_micros(held.rate, billed))
            self.available += held.amount_micros - held.settled_micros
            self.spent += held.settled_micros
        assert charged == held.settled_micros

    @rule(name=names)
    def release(self, name: str) -> None:
        self.run(lambda tx: ledger.release(tx, self.workspace_id, self.reference(name)))
        held = self.holds.get(name)
        if held is not None and held.settled_micros is None:
            held.settled_micros = 0
            self.available += held.amount_micros

    @rule(name=names, amount=st.integers(0, 200_000_000))
    def purchase(self, name: str, amount: int) -> None:
        amount = self.bought.get(name, amount)
        done = self.run(
            lambda tx: ledger.purchase(
                tx,
                organization_id=self.organization_id,
                workspace_id=self.workspace_id,
                ledger="live",
                reference=self.reference(f"bought-{name}"),
                amount_micros=amount,
                description="Bought",
            )
        )
        if name not in self.bought and amount > self.available:
            assert isinstance(done, Refusal)
            assert done.extras["balance_micros"] == self.available
            return
        assert done is None
        if name not in self.bought:
            self.bought[name] = amount
            self.available -= amount
            self.spent += amount

    @rule(name=names, amount=st.integers(1, 100_000_000))
    def top_up(self, name: str, amount: int) -> None:
        if name not in self.topped_up:
            reference = self.reference(f"paid-{name}")
            for _ in range(2):
                self.run(
                    lambda tx: ledger.top_up(
                        tx, self.organization_id, "live", amount, reference, "Paid"
                    )
                )
            self.topped_up.add(name)
            self.available += amount

    @rule(
        price=st.integers(0, 50_000_000),
        increment=st.sampled_from([1, 6, 30, 60]),
        minimum=st.sampled_from([0, 10, 60]),
    )
    def change_rate(self, price: int, increment: int, minimum: int) -> None:
        self.run(
            lambda tx: tx.execute(
                """update rate_cards set price_per_minute_micros = $2, increment_seconds = $3, minimum_seconds = $4
                   where organization_id = $1""",
                self.organization_id,
                price,
                increment,
                minimum,
            )
        )
        self.rate = Rate(price, increment, minimum)

    @invariant()
    def the_books_agree(self) -> None:
        rows = self.run(
            lambda tx: tx.fetch(
                "select kind, balance_micros from ledger_accounts where organization_id = $1 and ledger = 'live'",
                self.organization_id,
            )
        )
        found = {row["kind"]: row["balance_micros"] for row in rows}
        held = sum(
            each.amount_micros for each in self.holds.values() if each.settled_micros is None
        )
        assert (found["available"], found["held"], found["spent"]) == (
            self.available,
            held,
            self.spent,
        )


def _rolled_back() -> Iterator[None]:
    try:
        yield
    except RolledBack:
        return
    raise AssertionError("it did not roll back")


def test_the_ledger_is_where_arithmetic_says(databases: TestDatabases) -> None:
    with asyncio.Runner() as runner:
        dsn = runner.run(databases.create())
        db = runner.run(Database.open(dsn, min_size=1, max_size=2))

        def run(work: Callable[[Tx], Awaitable[T]]) -> T:
            async def in_transaction() -> T:
                async with db.transaction() as tx:
                    return await work(tx)

            return runner.run(in_transaction())

        class Machine(LedgerMachine):
            pass

        Machine.run = staticmethod(run)
        try:
            run_state_machine_as_test(
                Machine,
                settings=settings(
                    max_examples=40,
                    stateful_step_count=25,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
            assert runner.run(broken_invariants(dsn)) == []
        finally:
            runner.run(db.close())
            runner.run(databases.drop(dsn))
