"""Random lives of a ledger: the store against the auditor and against simple predictions."""

import asyncio
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
)
from tests.contract.samples import (
    ENV,
    admission,
    checkpoint,
    correction,
    grant,
    key,
    need,
    settlement,
)

from tollbridge.app.ports import CorrectionRefusedError
from tollbridge.ledger.audit import audit
from tollbridge.ledger.model import UNLIMITED, Admission, Hold, Limits, Refusal, Settled, Settlement
from tollbridge.storage.sqlite import SqliteStore, audit_rows
from tollbridge.units import LEASE_MS, Millis

MODELS = st.sampled_from(["m", "n"])
SMALL = st.integers(0, 60)
KEYS = st.sampled_from(["key_0", "key_1"])
LIMITS = st.sampled_from(
    [
        UNLIMITED,
        Limits(1),
        Limits(3),
        Limits(0, 2),
        Limits(0, 5),
        Limits(0, 0, 90),
        Limits(4, 4, 200),
    ]
)
OF_CREDITS = {Refusal.HELD, Refusal.EXHAUSTED, Refusal.KEY_HELD, Refusal.KEY_EXHAUSTED}


class Predictions:
    """What limits should do, told once more and plainly: every open request, every minute."""

    def __init__(self) -> None:
        self.open: dict[str, Admission] = {}
        self.reserved: dict[str, int] = {}
        self.used: dict[str, int] = {}
        """Tokens of the last checkpoint."""
        self.minutes: dict[str, list[int]] = {}

    def refusal(self, wanted: Admission, tokens: int) -> Refusal | None:
        """Why slots or minutes refuse; None: counted."""
        of_key = sum(each.key_id == wanted.key_id for each in self.open.values())
        if 0 < wanted.key_limits.concurrency <= of_key:
            return Refusal.KEY_CONCURRENCY
        if 0 < wanted.limits.concurrency <= len(self.open):
            return Refusal.CONCURRENCY
        entered = {}
        for name, limits, requests, too_many in (
            (wanted.key_id, wanted.key_limits, Refusal.KEY_REQUESTS, Refusal.KEY_TOKENS),
            ("", wanted.limits, Refusal.REQUESTS, Refusal.TOKENS),
        ):
            if not (limits.requests_per_minute or limits.tokens_per_minute):
                continue
            minute, asked, counted = self.minutes.get(name, [0, 0, 0])
            if minute < wanted.now // 60_000:
                minute, asked, counted = wanted.now // 60_000, 0, 0
            if 0 < limits.requests_per_minute <= asked:
                return requests
            if counted and 0 < limits.tokens_per_minute < counted + tokens:
                return too_many
            entered[name] = [minute, asked + 1, counted + tokens]
        self.minutes |= entered
        self.open[wanted.request_id] = wanted
        if wanted.limits.tokens_per_minute or wanted.key_limits.tokens_per_minute:
            self.reserved[wanted.request_id] = tokens
        return None

    def end(self, request_id: str, used: int) -> None:
        """Nothing happens if it has ended before."""
        ended = self.open.pop(request_id, None)
        reserved = self.reserved.pop(request_id, 0)
        if ended is not None and reserved:
            for name in (ended.key_id, ""):
                minute = self.minutes.get(name, [-1])
                if minute[0] == ended.now // 60_000:
                    minute[2] = max(0, minute[2] + used - reserved)


class LedgerLife(RuleBasedStateMachine):
    """Two stores on one file; `b` may die and come back under another name."""

    requests = Bundle("requests")
    ended = Bundle("ended")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.path = Path(self.folder, "ledger.db")
        self.runner = asyncio.Runner()
        self.stores = {"a": SqliteStore(self.path), "b": SqliteStore(self.path)}
        self.runner.run(self.stores["a"].create_environment(ENV, "", Millis(0)))
        self.now = 0
        self.count = 0
        self.deaths = 0
        self.granted = 0
        self.predicted = Predictions()
        for number in range(2):
            self.runner.run(self.stores["a"].add_key(*key(number)))

    @initialize(limits=LIMITS, of_keys=st.tuples(LIMITS, LIMITS), amount=st.integers(0, 3_000))
    def begin(self, limits: Limits, of_keys: tuple[Limits, Limits], amount: int) -> None:
        """Limits stay for a whole life, so that they are reached."""
        self.limits = limits
        self.key_limits = dict(zip(("key_0", "key_1"), of_keys, strict=True))
        if amount:
            self.grant(amount, None, only_m=False)

    def worker(self, name: str) -> str:
        return f"{name}{self.deaths}" if name == "b" else name

    def id(self) -> str:
        self.count += 1
        return f"r{self.count:04}"

    @rule(
        amount=st.integers(1, 200), life=st.none() | st.integers(-5, 40_000), only_m=st.booleans()
    )
    def grant(self, amount: int, life: int | None, only_m: bool) -> None:
        expires_at = None if life is None else max(self.now + life, 0)
        models = ("m",) if only_m else ()
        pack = grant(self.id(), amount, self.now, expires_at, models)
        assert self.runner.run(self.stores["a"].grant(pack))
        assert not self.runner.run(self.stores["b"].grant(pack))
        self.granted += amount

    @rule(
        target=requests,
        needs=st.lists(st.builds(need, SMALL, st.integers(0, 3), SMALL, SMALL), max_size=6),
        model=MODELS,
        name=st.sampled_from("ab"),
        key_id=KEYS,
    )
    def admit_together(self, needs: list, model: str, name: str, key_id: str) -> list:
        store, limits, key_limits = self.stores[name], self.limits, self.key_limits[key_id]
        known = {each.key_id: each.budget for each in self.runner.run(store.keys(ENV))}
        admissions = [
            admission(
                self.id(),
                wanted,
                self.now,
                model=model,
                worker_id=self.worker(name),
                key_id=key_id,
                generation=self.runner.run(store.generation(ENV)),
                limits=limits,
                key_limits=key_limits,
                key_budgeted=known[key_id] > 0,
                input_tokens=7,
            )
            for wanted in needs
        ]

        async def admit() -> list[Hold | Refusal]:
            return await asyncio.gather(*map(store.admit, admissions))

        open_requests = []
        for wanted, result in zip(admissions, self.runner.run(admit()), strict=True):
            if result in OF_CREDITS:
                assert known[key_id] or result in {Refusal.HELD, Refusal.EXHAUSTED}
                continue
            tokens = 7 + (result.output_tokens if isinstance(result, Hold) else 0)
            if isinstance(result, Hold):
                assert self.predicted.refusal(wanted, tokens) is None
                held = sum(leg.amount for leg in result.legs)
                assert held == wanted.need.amount(result.output_tokens)
                assert result.output_tokens <= wanted.need.output_tokens
                floor = min(wanted.need.output_floor, wanted.need.output_tokens)
                assert result.output_tokens >= floor
                open_requests.append((wanted.request_id, model, name, key_id))
            elif result not in {Refusal.KEY_TOKENS, Refusal.TOKENS}:
                assert self.predicted.refusal(wanted, 0) is result
            else:
                # How many tokens it would have been given is known to the store alone.
                limited = key_limits if result is Refusal.KEY_TOKENS else limits
                name_of = key_id if result is Refusal.KEY_TOKENS else ""
                minute, _, counted = self.predicted.minutes[name_of]
                assert minute >= self.now // 60_000
                most = tokens + wanted.need.output_tokens
                assert 0 < limited.tokens_per_minute < counted + most
        return open_requests

    @rule(key_id=KEYS, budget=st.integers(0, 300), name=st.sampled_from("ab"))
    def set_budget(self, key_id: str, budget: int, name: str) -> None:
        assert self.runner.run(self.stores[name].limit_key(key_id, UNLIMITED, budget))

    @rule(amount=st.integers(-90, 90).filter(bool), data=st.data())
    def correct(self, amount: int, data: st.DataObject) -> None:
        packs = self.runner.run(self.stores["a"].packs(ENV))
        if packs:
            pack_id = data.draw(st.sampled_from([pack.pack_id for pack in packs]))
            wanted = correction(self.id(), pack_id, amount, self.now)
            try:
                assert self.runner.run(self.stores["a"].correct(wanted))
            except CorrectionRefusedError:
                return
            assert not self.runner.run(self.stores["b"].correct(wanted))
            self.granted += amount

    @rule(
        target=ended,
        batch=consumes(requests),
        amounts=st.lists(st.integers(0, 150), min_size=6, max_size=6),
        crossed=st.booleans(),
    )
    def settle_together(self, batch: list, amounts: list[int], crossed: bool) -> list:
        done = [
            settlement(request_id, amount, self.now, model=model, key_id=key_id)
            for (request_id, model, _, key_id), amount in zip(batch, amounts, strict=False)
        ]
        store = self.stores["a" if crossed else "b"]

        async def settle() -> list:
            return await asyncio.gather(*map(store.settle, done))

        for wanted, result in zip(done, self.runner.run(settle()), strict=True):
            assert result.exists or result.amount == wanted.amount
            assert result.overrun <= result.amount
            self.predicted.end(wanted.request_id, wanted.usage.prompt + wanted.usage.output)
        return done

    @rule(batch=ended, name=st.sampled_from("ab"))
    def settle_again(self, batch: list, name: str) -> None:
        async def again(done: Settlement) -> Settled:
            return await self.stores[name].settle(done)

        for done in batch:
            assert self.runner.run(again(done)).exists

    @rule(batch=requests, charge=SMALL, name=st.sampled_from("ab"))
    def checkpoint(self, batch: list, charge: int, name: str) -> None:
        points = [
            checkpoint(request_id, charge) for request_id, _, owner, _ in batch if owner == name
        ]
        for point in points:
            self.predicted.used[point.request_id] = point.usage.prompt + point.usage.output
        worker = self.worker(name)
        self.runner.run(self.stores[name].checkpoint(worker, points, Millis(self.now)))

    @rule(span=st.integers(1, 2 * LEASE_MS))
    def wait(self, span: int) -> None:
        self.now += span

    @rule()
    def kill(self) -> None:
        """Nothing is said to the store: its lease runs out."""
        self.deaths += 1

    @rule(both=st.booleans())
    def sweep(self, both: bool) -> None:
        async def sweep() -> None:
            sweeps = [store.sweep(Millis(self.now)) for store in self.stores.values()]
            await asyncio.gather(*sweeps[: 1 + both])
            if not both:
                await sweeps[1]

        self.runner.run(sweep())
        assert self.runner.run(self.stores["a"].sweep(Millis(self.now))) == 0
        with audit_rows(self.path) as rows:
            still_open = {hold.request_id for hold in rows.holds}
        for request_id in list(self.predicted.open):
            if request_id not in still_open:
                self.predicted.end(request_id, self.predicted.used.get(request_id, 0))

    @invariant()
    def the_auditor_finds_nothing(self) -> None:
        with audit_rows(self.path) as rows:
            report = audit(rows)
        assert report.differences == []
        totals = report.environments.get(ENV)
        assert (totals.granted if totals else 0) == self.granted

    def teardown(self) -> None:
        for name, store in self.stores.items():
            self.runner.run(store.close(self.worker(name)))
        self.runner.close()
        shutil.rmtree(self.folder)


LedgerLife.TestCase.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, derandomize=True
)
TestLedgerLife = LedgerLife.TestCase
