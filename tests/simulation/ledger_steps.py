"""What may happen in a simulated history of a ledger, one method for each kind of step."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import cache
from random import Random
from typing import Any

from msgspec.structs import replace
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

from tollbridge.app.ports import (
    CorrectionRefusedError,
    SettlementConflictError,
    StoreUnavailableError,
    UnknownHoldError,
)
from tollbridge.app.pulse import Pulse
from tollbridge.app.settlement import Settler
from tollbridge.ledger.model import Admission, Checkpoint, Hold, Limits, Need, Refusal
from tollbridge.usage import TokenUsage

MODELS = ("m", "n")
EXPECTED = (StoreUnavailableError, UnknownHoldError, SettlementConflictError)


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

    def __init__(self, name: str, history: "Steps", offset: int) -> None:
        self.name = name
        self.offset = offset
        self.streams: dict[str, Stream] = {}
        self.left: set[str] = set()
        """Exchanges that were cancelled when they were about to settle, or while they did."""
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


class Steps:
    """A ledger, its workers, and everything that may be done to them."""

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

    # Steps

    async def _settle_in(self) -> None:
        """Environments, keys, packs and workers, without faults."""
        self.weather.calm = True
        draw = self.random
        self.envs = [f"env_{number}" for number in range(draw.choice((1, 1, 2)))]
        await self._start_worker()
        store = self.operator.store
        for env_id in self.envs:
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
        # Some end in the same transaction, and their slots and credits are free for these.
        done = self._finished(worker) if self.random.random() < 0.4 else []
        ended = asyncio.gather(*map(worker.settler.settle, done))
        answers = await self._all(map(worker.store.admit, wanted))
        await ended
        for each, answer in zip(wanted, answers, strict=True):
            self._answered(worker, each, answer)

    def _answered(self, worker: Worker, wanted: Admission, answer: Any) -> None:
        if isinstance(answer, Hold):
            held = sum(leg.amount for leg in answer.legs)
            worker.streams[wanted.request_id] = Stream(wanted, held)
            # One that may have been placed is undone by its id: nobody else may use that again.
            self.admitted.append(wanted)
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
        return admission(
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
            worker.left.add(done.request_id)
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


def _limits(draw: Random, most: int) -> Limits:
    return Limits(
        draw.choice((0, 0, 1, most)), draw.choice((0, 0, 0, 5)), draw.choice((0, 0, 0, 200))
    )


@cache
def _schema() -> bytes:
    return empty_database()
