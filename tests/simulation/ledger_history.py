"""Random histories of a ledger, each told by its seed: workers that die, a database that fails.

Two or three workers with the production store, settler and tick share one database in memory. In
each step one of them does something, or time, a clock or the database does. The faults and the
steps have rates of their own in every history, so that rare ones meet undiluted.

    python -m tests.simulation.ledger_history 4711      tells the history with that seed
    python -m tests.simulation.ledger_history 0 10000   runs so many from a seed on
"""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import cache
from random import Random
from typing import Any

from tests.contract.samples import admission, correction, grant, key, settlement
from tests.simulation.ledger_model import Model
from tests.simulation.ledger_world import (
    Effect,
    Line,
    Shelf,
    ShelfSpool,
    SimulatedStore,
    VirtualLoop,
    Weather,
    empty_database,
)

from msgspec.structs import replace
from tollbridge.app.ports import (
    CorrectionRefusedError,
    SettlementConflictError,
    StoreUnavailableError,
    UnknownHoldError,
)
from tollbridge.app.pulse import Pulse
from tollbridge.app.settlement import Settler
from tollbridge.ledger.audit import AuditRows, BudgetRow, HoldRow, JournalRow, UsageCharge, audit
from tollbridge.ledger.model import Admission, Checkpoint, Hold, Limits, Need, Refusal
from tollbridge.storage.batch import read_pack
from tollbridge.storage.sqlite_session import QUERIES
from tollbridge.usage import TokenUsage

STEPS = 30
STEPS_BETWEEN_AUDITS = 10
AGES_MS = 10 * 86_400_000
"""After this every lease and every validity has ended."""

MODELS = ("m", "n")
EXPECTED = (StoreUnavailableError, UnknownHoldError, SettlementConflictError)


class HistoryError(AssertionError):
    """A history went wrong; the message names seed and commit and tells the steps."""


class Stream:
    """An exchange under way, as the tick sees it."""

    beat = 0

    def __init__(self, wanted: Admission, held: int) -> None:
        self.wanted = wanted
        self.held = held
        self.amount = 0

    def checkpoint(self) -> Checkpoint | None:
        usage = TokenUsage(input=5, output=self.amount)
        wanted = self.wanted
        point = Checkpoint(wanted.request_id, wanted.env_id, usage, self.amount, "upstream")
        return point if self.amount else None


class Worker:
    """A gateway process with a clock of its own."""

    def __init__(self, name: str, history: "History", offset: int) -> None:
        self.name = name
        self.offset = offset
        self.streams: dict[str, Stream] = {}
        self.keys: dict[int, Any] = {}
        self.line = Line(history.database, history.weather, history.effects, history.trace)
        self.store = SimulatedStore(self.line)
        self.spool = ShelfSpool(history.shelf, name, self.line)
        self.settler = Settler(self.store, history, self.spool)
        self.clock = lambda: max(0, history.now + self.offset)
        self.pulse = Pulse(self.store, self.settler, history, name, self.clock)
        self.ticks = 0

    async def tick(self) -> None:
        self.ticks += 2
        self.pulse.live = dict.fromkeys(self.streams.values())
        await self.pulse._careful(self.pulse._keep_accounts(self.ticks))


class History:
    """One life of a ledger."""

    def __init__(self, seed: int, loop: VirtualLoop) -> None:
        self.random = Random(seed)
        self.loop = loop
        loop.set_exception_handler(self._loop_trouble)
        self.trace: list[str] = []
        self.effects: list[Effect] = []
        self.bugs: list[str] = []
        self.now = 1_000_000
        self.count = 0
        self.model = Model()
        self.shelf = Shelf()
        self.weather = Weather(self.random)
        self.database = sqlite3.connect(":memory:", isolation_level=None)
        self.database.deserialize(_schema())
        self.database.execute("PRAGMA foreign_keys = ON")
        self.workers: list[Worker] = []
        self.sent: list[Any] = []
        self.admitted: list[Admission] = []
        self.operator = Worker("operator", self, 0)
        """Who changes packs and keys, from a process that is never left dead."""
        self.granted: dict[str, int] = {}
        self.grants: list[Any] = []
        self.corrections: list[Any] = []

    # The observer of settler and tick

    def trouble(self, what: str, error: BaseException) -> None:
        self.trace.append(f"    {what}: {error}")
        if not isinstance(error, EXPECTED):
            self.bugs.append(f"{what}: {error!r}")

    def _loop_trouble(self, loop: asyncio.AbstractEventLoop, context: dict) -> None:
        # Nobody waits for what ends a hold whose client has gone.
        if not isinstance(context.get("exception"), StoreUnavailableError):
            self.bugs.append(repr(context))

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
            while not worker.store.idle:
                await asyncio.sleep(0.001)
        self.operator.line.cut = False
        for worker in [worker for worker in self.workers if worker.line.cut]:
            self._bury(worker)
            if not self.weather.calm and self.random.random() < 0.8:
                await self._start_worker()

    # Steps

    async def _settle_in(self) -> None:
        """Environments, keys, packs and workers, without faults."""
        self.weather.calm = True
        draw = self.random
        self.envs = [f"env_{number}" for number in range(draw.choice((1, 1, 2)))]
        await self._start_worker()
        store = self.operator.store
        for number, env_id in enumerate(self.envs):
            await store.create_environment(env_id, "", 0, _limits(draw, 4))
        for number, env_id in enumerate(self.envs):
            for key_number in (2 * number, 2 * number + 1):
                expires_at = draw.choice((None, None, self.now + 30_000))
                budget = draw.choice((0, 0, 150, 600))
                limits = _limits(draw, 2)
                await store.add_key(*key(key_number, env_id, expires_at, limits, budget))
            for _ in range(draw.randrange(1, 4)):
                await self._grant()
        for _ in range(draw.choice((1, 2))):
            await self._start_worker()
        self.weather.calm = False

    async def _start_worker(self) -> None:
        offset = self.random.choice((0, 0, -3_000, 2_000))
        worker = Worker(f"w{self._number()}", self, offset)
        self.workers.append(worker)
        try:
            await worker.pulse.start()
        except StoreUnavailableError:
            self.trace.append(f"    {worker.name} cannot start")
            worker.line.cut = True
        else:
            worker.pulse._task.cancel()
            self.trace.append(f"    {worker.name} starts, {worker.offset} ms ahead")

    async def _admit(self) -> None:
        worker = self._worker()
        wanted = [await self._wanted(worker) for _ in range(self.random.choice((1, 1, 2, 3)))]
        wanted = [each for each in wanted if each is not None]
        answers = await self._all(map(worker.store.admit, wanted))
        for each, answer in zip(wanted, answers, strict=True):
            self._answered(worker, each, answer)

    def _answered(self, worker: Worker, wanted: Admission, answer: Any) -> None:
        if isinstance(answer, Hold):
            held = sum(leg.amount for leg in answer.legs)
            worker.streams[wanted.request_id] = Stream(wanted, held)
        elif answer is Refusal.STALE:
            worker.keys.clear()

    async def _wanted(self, worker: Worker, *, fresh: bool = False) -> Admission | None:
        draw = self.random
        if not fresh and self.admitted and draw.random() < 0.1:
            again = draw.choice(self.admitted)
            return replace(again, worker_id=worker.name, now=worker.clock())
        number = draw.randrange(2 * len(self.envs))
        if number not in worker.keys:
            try:
                worker.keys[number] = await worker.store.find_key(key(number)[1])
            except StoreUnavailableError:
                return None
        record = worker.keys[number]
        need = Need(
            *(draw.choice((0, 5, 20)), draw.choice((0, 1, 1, 3))),
            *(draw.choice((1, 20, 60)), draw.choice((1, 5, 16))),
        )
        wanted = admission(
            f"r{self._number():03}",
            need,
            worker.clock(),
            env_id=record.env_id,
            key_id=record.key_id,
            generation=record.generation,
            model=draw.choice(MODELS),
            worker_id=worker.name,
            limits=record.env_limits,
            key_limits=record.limits,
            key_budgeted=record.budgeted,
            key_expires_at=record.expires_at,
            input_tokens=7,
        )
        self.admitted.append(wanted)
        return wanted

    async def _admit_and_leave(self) -> None:
        """The client goes away before it is told; nobody will settle."""
        worker = self._worker()
        # Request ids are the gateway's own: a repeated one belongs to no client that could leave.
        wanted = await self._wanted(worker, fresh=True)
        if wanted is not None:
            self._answered(worker, wanted, await self._leave(worker.store.admit(wanted)))

    async def _settle(self) -> None:
        worker = self._worker()
        done = self._finished(worker)
        await self._all(map(worker.settler.settle, done))

    async def _settle_and_leave(self) -> None:
        worker = self._worker()
        for done in self._finished(worker):
            await self._leave(worker.settler.settle(done))

    def _finished(self, worker: Worker) -> list:
        """Ends up to three exchanges of a worker, in any order."""
        draw = self.random
        names = draw.sample(list(worker.streams), min(len(worker.streams), draw.randrange(1, 4)))
        finished = []
        for name in names:
            stream = worker.streams.pop(name)
            wanted, most = stream.wanted, stream.held
            amount = draw.choice((0, stream.amount, most, most // 2, most + draw.randrange(1, 90)))
            finished.append(
                settlement(
                    name,
                    amount,
                    worker.clock(),
                    env_id=wanted.env_id,
                    key_id=wanted.key_id,
                    model=wanted.model,
                    started_at=wanted.now,
                )
            )
        self.sent += finished
        return finished

    async def _settle_again(self) -> None:
        """Duplicates in another order, through any worker, sometimes with another content."""
        worker, draw = self._worker(), self.random
        sent = self.sent[-8:]
        again = draw.sample(sent, min(len(sent), 3))
        ended = [each for each in again if self.model.exchanges[each.request_id].end]
        if ended and draw.random() < 0.3:
            again.append(replace(ended[0], amount=ended[0].amount + 1))
        await self._all(map(worker.store.settle, again))

    async def _tick(self) -> None:
        worker = self._worker()
        for stream in worker.streams.values():
            stream.amount += self.random.choice((0, 3, 10, 40))
        await worker.tick()

    async def _grant(self) -> None:
        draw = self.random
        expires_at = draw.choice((None, None, self.now + draw.randrange(1, 40_000)))
        models = draw.choice(((), (), ("m",)))
        pack_id, amount = f"p{self._number():03}", draw.choice((1, 40, 150, 400))
        env_id = draw.choice(self.envs)
        self.grants.append(grant(pack_id, amount, self.now, expires_at, models, env_id=env_id))
        await self._repeat(lambda: self.operator.store.grant(self.grants[-1]))
        self.granted[pack_id] = amount

    async def _grant_again(self) -> None:
        again = self.random.choice(self.grants)
        answer = await self._repeat(lambda: self.operator.store.grant(again))
        assert answer is not True, "a repeated grant answers that it exists"

    async def _correct(self) -> None:
        """Repeated until its outcome is known, and once more."""
        pack = self.random.choice(self.grants)
        amount = self.random.choice((-60, -5, 5, 60))
        wanted = correction(f"c{self._number():03}", pack.pack_id, amount, self.now)
        wanted = replace(wanted, env_id=pack.env_id)
        try:
            await self._repeat(lambda: self.operator.store.correct(wanted))
        except CorrectionRefusedError:
            return
        self.granted[pack.pack_id] += amount
        answer = await self._repeat(lambda: self.operator.store.correct(wanted))
        assert answer is not True, "a repeated correction answers that it exists"

    async def _set_budget(self) -> None:
        number = self.random.randrange(2 * len(self.envs))
        store = self.operator.store
        try:
            record = await store.find_key(key(number)[1])
            await store.limit_key(record.key_id, record.limits, self.random.choice((0, 100, 500)))
        except StoreUnavailableError:
            return

    async def _jump(self) -> None:
        self._worker().offset += self.random.choice((-30_000, -2_000, 1_500, 12_000, 70_000))

    async def _wait(self) -> None:
        self.now += self.random.choice((1_000, 6_000, 11_000, 61_000))

    async def _kill(self) -> None:
        self._worker().line.cut = True

    async def _go_away(self) -> None:
        """The database is away, or is back."""
        self.weather.away = not self.weather.away

    # What the steps are made of

    def _number(self) -> int:
        self.count += 1
        return self.count

    def _worker(self) -> Worker:
        alive = [worker for worker in self.workers if not worker.line.cut]
        return self.random.choice(alive or [self.operator])

    def _bury(self, worker: Worker) -> None:
        self.trace.append(f"    {worker.name} is dead")
        self.workers.remove(worker)
        worker.spool.close()

    async def _all(self, commands: Iterable[Awaitable[Any]]) -> list[Any]:
        """What arrives in one tick is committed together."""
        answers = await asyncio.gather(*commands, return_exceptions=True)
        self.bugs += [
            repr(answer)
            for answer in answers
            if isinstance(answer, BaseException) and not isinstance(answer, EXPECTED)
        ]
        return answers

    async def _leave(self, command: Coroutine[None, None, Any]) -> Any:
        """Cancel it at some point on its way."""
        task = self.loop.create_task(command)
        for _ in range(self.random.randrange(4)):
            await asyncio.sleep(0)
        task.cancel()
        (answer,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(answer, Exception) and not isinstance(answer, EXPECTED):
            self.bugs.append(repr(answer))
        return answer

    async def _repeat(self, command: Callable[[], Awaitable[bool]]) -> bool:
        """Until the outcome is known."""
        while True:
            try:
                return await command()
            except StoreUnavailableError:
                self.operator.line.cut = self.weather.away = False

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


def _limits(draw: Random, most: int) -> Limits:
    return Limits(
        draw.choice((0, 0, 1, most)), draw.choice((0, 0, 0, 5)), draw.choice((0, 0, 0, 200))
    )


def _told(effect: Effect) -> str:
    command = effect.command
    name = getattr(command, "request_id", command)
    amount = getattr(command, "amount", "")
    return f"{effect.name} {name} {amount} -> {effect.result}"


@cache
def _schema() -> bytes:
    return empty_database()


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
