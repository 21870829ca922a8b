"""Random lives of a ledger: the store against the auditor and against simple predictions."""

import asyncio
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule
from tests.contract.samples import ENV, admission, checkpoint, grant, need, settlement

from tollbridge.ledger.audit import audit
from tollbridge.ledger.model import Hold, Refusal
from tollbridge.storage.sqlite import SqliteStore, audit_rows
from tollbridge.units import LEASE_MS, Millis

MODELS = st.sampled_from(["m", "n"])
SMALL = st.integers(0, 60)


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
    )
    def admit_together(self, needs: list, model: str, name: str) -> list:
        store = self.stores[name]
        worker = self.worker(name)
        admissions = [
            admission(self.id(), wanted, self.now, model=model, worker_id=worker)
            for wanted in needs
        ]

        async def admit() -> list[Hold | Refusal]:
            return await asyncio.gather(*map(store.admit, admissions))

        open_requests = []
        for wanted, result in zip(admissions, self.runner.run(admit()), strict=True):
            if isinstance(result, Hold):
                held = sum(leg.amount for leg in result.legs)
                assert held == wanted.need.amount(result.output_tokens)
                assert result.output_tokens <= wanted.need.output_tokens
                floor = min(wanted.need.output_floor, wanted.need.output_tokens)
                assert result.output_tokens >= floor
                open_requests.append((wanted.request_id, model, name))
            else:
                assert result in {Refusal.HELD, Refusal.EXHAUSTED}
        return open_requests

    @rule(
        target=ended,
        batch=consumes(requests),
        amounts=st.lists(st.integers(0, 150), min_size=6, max_size=6),
        crossed=st.booleans(),
    )
    def settle_together(self, batch: list, amounts: list[int], crossed: bool) -> list:
        done = [
            settlement(request_id, amount, self.now, model=model)
            for (request_id, model, _), amount in zip(batch, amounts, strict=False)
        ]
        store = self.stores["a" if crossed else "b"]

        async def settle() -> list:
            return await asyncio.gather(*map(store.settle, done))

        for wanted, result in zip(done, self.runner.run(settle()), strict=True):
            assert result.exists or result.amount == wanted.amount
            assert result.overrun <= result.amount
        return done

    @rule(batch=ended, name=st.sampled_from("ab"))
    def settle_again(self, batch: list, name: str) -> None:
        for done in batch:
            assert self.runner.run(self.stores[name].settle(done)).exists

    @rule(batch=requests, charge=SMALL, name=st.sampled_from("ab"))
    def checkpoint(self, batch: list, charge: int, name: str) -> None:
        points = [checkpoint(request_id, charge) for request_id, _, owner in batch if owner == name]
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
