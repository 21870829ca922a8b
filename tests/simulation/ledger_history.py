"""Random histories of a ledger, each told by its seed: workers that die, a database that fails.

Two or three workers with the production store, settler and tick share one database in memory. In
each step one of them does something, or time, a clock or the database does. The faults and the
steps have rates of their own in every history, so that rare ones meet undiluted.

    python -m tests.simulation.ledger_history 4711      tells the history with that seed
    python -m tests.simulation.ledger_history 0 10000   runs so many from a seed on
"""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable

from tests.simulation.ledger_steps import Steps, Worker
from tests.simulation.ledger_world import (
    Effect,
    VirtualLoop,
)

from tollbridge.ledger.audit import AuditRows, BudgetRow, HoldRow, JournalRow, UsageCharge, audit
from tollbridge.storage.batch import read_pack
from tollbridge.storage.sqlite_session import QUERIES

STEPS = 30
STEPS_BETWEEN_AUDITS = 10
AGES_MS = 10 * 86_400_000
"""After this every lease and every validity has ended."""


class HistoryError(AssertionError):
    """A history went wrong; the message names seed and commit and tells the steps."""


class History(Steps):
    """One life of a ledger."""

    def run(self) -> None:
        """Raises AssertionError if anything is not as it must be."""
        try:
            self._do(self._settle_in)
            steps = self._steps()
            names, weights = zip(*steps.items(), strict=True)
            for number in range(STEPS):
                (step,) = self.random.choices(names, weights)
                self.trace.append(f"{number}: {step.__name__.strip('_')} at {self.now}")
                self.now += self.random.choice((0, 1, 50, 700))
                self._do(step)
                if number % STEPS_BETWEEN_AUDITS == 0:
                    self._audit()
            self._end()
        finally:
            self.database.close()

    def _steps(self) -> dict[Callable[[], Awaitable[None]], int]:
        often = {self._admit: 6, self._settle: 4, self._tick: 4}
        seldom = (
            *(self._admit_and_leave, self._settle_and_leave, self._settle_again, self._grant),
            *(self._grant_again, self._correct, self._set_budget, self._jump, self._wait),
            *(self._kill, self._go_away),
        )
        weight = self.random.choice
        return {step: weight((1, 2, 4)) * often[step] for step in often} | {
            step: weight((0, 1, 1, 3, 6)) for step in seldom
        }

    def _do(self, step: Callable[[], Awaitable[None]]) -> None:
        self.loop.run_until_complete(self._whole(step))
        for effect in self.effects:
            self.trace.append(f"    {_told(effect)}")
            self.model.apply(effect)
        self.effects.clear()
        assert not self.bugs, self.bugs
        self._check_accounts()

    async def _whole(self, step: Callable[[], Awaitable[None]]) -> None:
        await step()
        for worker in (*self.workers, self.operator):
            # A cancelled command is carried out all the same.
            while not worker.store.idle:  # noqa: ASYNC110  the loop skips the delay
                await asyncio.sleep(0.001)
        self.operator.line.cut = False
        for worker in [worker for worker in self.workers if worker.line.cut]:
            self._bury(worker)
            if not self.weather.calm and self.random.random() < 0.8:
                await self._start_worker()

    # What must be true

    def _check_accounts(self) -> None:
        (lowest,) = self.database.execute("SELECT min(available) FROM packs").fetchone()
        assert lowest is None or lowest >= 0, "a pack is overdrawn"
        rows = self.database.execute(
            "SELECT env_id, key_id, count(*) FROM holds WHERE leg = 0 GROUP BY env_id, key_id"
        )
        found = {(env_id, key_id): count for env_id, key_id, count in rows}
        open_now = {who: count for who, count in self.model.open.items() if who[1] and count}
        assert found == open_now, f"holds are {found}, exchanges under way are {open_now}"
        for worker in self.workers:
            self._check_holds(worker)

    def _check_holds(self, worker: Worker) -> None:
        """Somebody at work will end each of its holds; it does not take a death."""
        if worker.line.cut or worker.store.unmade:
            return
        ask = "SELECT request_id FROM holds WHERE leg = 0 AND worker_id = ?"
        held = {name for (name,) in self.database.execute(ask, (worker.name,))}
        known = (
            worker.streams.keys()
            | worker.left
            | {done.request_id for done in worker.settler.waiting}
        )
        assert held <= known, f"{worker.name} forgot its holds {held - known}"

    def _audit(self) -> None:
        ask = self.database.execute
        report = audit(
            AuditRows(
                packs=map(read_pack, ask(QUERIES["packs"], (None,))),
                journal=map(JournalRow._make, ask(QUERIES["audit_journal"])),
                by_request=map(JournalRow._make, ask(QUERIES["audit_journal_by_request"])),
                holds=map(HoldRow._make, ask(QUERIES["audit_holds"])),
                usage=map(UsageCharge._make, ask(QUERIES["audit_usage"])),
                budgets=map(BudgetRow._make, ask(QUERIES["audit_budgets"])),
            )
        )
        assert report.differences == [], report.differences

    def _end(self) -> None:
        """All workers die; the next one has to put everything right, and nothing twice."""
        self.trace.append("the end")
        self.weather.calm = True
        self.weather.away = False
        for worker in [*self.workers, self.operator]:
            worker.line.cut = True
        self._do(self._wait)
        self.now += AGES_MS
        self.operator.spool.close()
        for worker in list(self.workers):
            self._bury(worker)
        self._do(self._start_worker)
        self.workers[0].offset = 0
        self._do(self._tick)
        self._audit()
        exchanges = self.model.exchanges
        unended = [name for name, exchange in exchanges.items() if exchange.end is None]
        assert not unended, f"nobody ended {unended}"
        rows = self.database.execute("SELECT request_id, amount, provenance FROM usage_records")
        charged = {name: (amount, provenance) for name, amount, provenance in rows}
        assert charged == {
            name: (exchange.end.amount, exchange.end.provenance.value)
            for name, exchange in exchanges.items()
        }, "every exchange is charged once, with what it came to"
        packs = [read_pack(row) for row in self.database.execute(QUERIES["packs"], (None,))]
        assert {pack.pack_id: pack.granted for pack in packs} == self.granted
        left = [p.pack_id for p in packs if p.held or (p.expires_at and p.available)]
        assert not left, f"held or not expired: {left}"
        assert not self.shelf.rejected, f"the ledger did not take {self.shelf.rejected}"
        assert not self.shelf.files, f"still in the spool: {self.shelf.files}"


def run_history(seed: int) -> History:
    """Raises HistoryError if anything is not as it must be."""
    loop = VirtualLoop()
    try:
        history = History(seed, loop)
        try:
            history.run()
        except Exception as error:
            told = "\n".join(history.trace)
            message = f"{told}\nseed {seed}, commit {_commit()}: {error}"
            raise HistoryError(message) from error
    finally:
        loop.close()
    return history


def _told(effect: Effect) -> str:
    command = effect.command
    name = getattr(command, "request_id", command)
    amount = getattr(command, "amount", "")
    return f"{effect.name} {name} {amount} -> {effect.result}"


def _commit() -> str:
    found = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "unknown"


def main(seed: int, count: int = 0) -> None:
    """Tell one history, or run many."""
    if not count:
        print("\n".join(run_history(seed).trace))
    for number in range(seed, seed + count):
        run_history(number)
    print("every history came to its end")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
