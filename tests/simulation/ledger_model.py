"""A second opinion on every command: what it should have answered, by rules told once more.

The model sees the commands of committed transactions in their order, whatever their callers were
told. It keeps no balances: those are the auditor's. It knows what each exchange has to be charged.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from tests.simulation.ledger_world import Effect

from tollbridge.app.ports import SettlementConflictError, UnknownHoldError
from tollbridge.ledger.model import Admission, Hold, Pack, Refusal, Settled, Settlement
from tollbridge.units import LEASE_MS, MINUTE_MS
from tollbridge.usage import Provenance

OF_CREDITS = {Refusal.KEY_HELD, Refusal.KEY_EXHAUSTED, Refusal.HELD, Refusal.EXHAUSTED}
OF_MINUTES = {Refusal.KEY_REQUESTS, Refusal.KEY_TOKENS, Refusal.REQUESTS, Refusal.TOKENS}


@dataclass
class Exchange:
    """What was admitted."""

    admission: Admission
    held: int
    checkpoint: int = 0
    end: Settlement | None = None
    """None: under way."""


class Model:
    """The exchanges of all environments."""

    def __init__(self) -> None:
        self.exchanges: dict[str, Exchange] = {}
        self.open: Counter[tuple[str, str]] = Counter()
        """By environment and key; the key of an environment as a whole is empty."""
        self.lease_at_least: dict[str, int] = {}
        self.minutes: dict[tuple[str, str], tuple[int, int]] = {}

    def apply(self, effect: Effect) -> None:
        """Take note of a command. Raises AssertionError if it should not have answered so."""
        match effect.name:
            case "admit":
                self._admitted(effect.command, effect.result, effect.before)
            case "settle":
                self._settled(effect.command, effect.result, effect.before)
            case "checkpoint":
                worker_id, now = effect.command
                self.lease_at_least[worker_id] = now + LEASE_MS
                for point in effect.result:
                    exchange = self.exchanges.get(point.request_id)
                    if exchange is not None and exchange.end is None:
                        exchange.checkpoint = point.amount
            case "bury":
                for worker_id, until in list(self.lease_at_least.items()):
                    if until <= effect.command:
                        del self.lease_at_least[worker_id]

    def _admitted(self, wanted: Admission, result: Hold | Refusal, before: tuple | None) -> None:
        known = wanted.request_id in self.exchanges
        if result is Refusal.STALE:
            return
        assert known or result is not Refusal.DUPLICATE, "it was never admitted before"
        # Two of one transaction may meet another refusal first; the engine refuses a second hold.
        told = before is None and not isinstance(result, Hold)
        assert not known or result is Refusal.DUPLICATE or told, "a request id is admitted once"
        if known or result is Refusal.KEY_EXPIRED:
            return
        if before is not None:
            refusal, tokens = credits_say(wanted, *before)
            if isinstance(result, Hold) or result not in OF_CREDITS:
                assert refusal is None, f"answered {result}, but the credits say {refusal}"
            else:
                assert result is refusal, f"answered {result}, but the credits say {refusal}"
            if isinstance(result, Hold):
                assert result.output_tokens == tokens, f"{tokens} tokens could be paid"
        if not isinstance(result, Hold):
            if result in {Refusal.KEY_CONCURRENCY, Refusal.CONCURRENCY}:
                assert self._slots_full(wanted) is result, "there were free slots"
            if result in OF_MINUTES:
                assert self._slots_full(wanted) is None, "slots are told before minutes"
            return
        assert self._slots_full(wanted) is None, "more exchanges at once than the limit"
        self._count_minute(wanted)
        held = sum(leg.amount for leg in result.legs)
        assert held == wanted.need.amount(result.output_tokens), "the hold is not the price"
        self.exchanges[wanted.request_id] = Exchange(wanted, held)
        self._count(wanted, 1)
        lease = self.lease_at_least.get(wanted.worker_id, 0)
        self.lease_at_least[wanted.worker_id] = min(lease, wanted.now + LEASE_MS)

    def _settled(self, done: Settlement, result: Settled | Exception, before: Any) -> None:
        exchange = self.exchanges.get(done.request_id)
        if exchange is None:
            assert isinstance(result, UnknownHoldError), "settled what was never admitted"
            return
        if exchange.end is not None:
            self._settled_again(exchange, done, result)
            return
        assert isinstance(result, Settled), f"an open hold was refused its end: {result}"
        assert not result.exists, "it had not ended before"
        assert result.amount == done.amount
        if done.provenance is Provenance.RECOVERED:
            until = self.lease_at_least.get(exchange.admission.worker_id, 0)
            assert until <= done.ended_at, "recovered from a worker that was alive"
            assert done.amount == exchange.checkpoint, "recovered at its last checkpoint"
        if before is not None:
            spare = sum(p.available for p in drawable(before[0], done.model, done.ended_at))
            overrun = max(0, done.amount - exchange.held - spare)
            assert result.overrun == overrun, f"the overrun is {overrun}, not {result.overrun}"
        exchange.end = done
        self._count(exchange.admission, -1)

    def _settled_again(self, exchange: Exchange, done: Settlement, result: Any) -> None:
        assert exchange.end is not None
        if exchange.end.provenance is not Provenance.RECOVERED and exchange.end != done:
            assert isinstance(result, SettlementConflictError), "it ended otherwise before"
            return
        assert isinstance(result, Settled), f"a repeated settlement was refused: {result}"
        assert result.exists, "a repeated settlement answers that it exists"
        assert result.amount == exchange.end.amount, "the first charge stays"

    def _slots_full(self, wanted: Admission) -> Refusal | None:
        env_id, key_id = wanted.env_id, wanted.key_id
        if 0 < wanted.key_limits.concurrency <= self.open[env_id, key_id]:
            return Refusal.KEY_CONCURRENCY
        if 0 < wanted.limits.concurrency <= self.open[env_id, ""]:
            return Refusal.CONCURRENCY
        return None

    def _count(self, admission: Admission, change: int) -> None:
        for key_id in (admission.key_id, ""):
            self.open[admission.env_id, key_id] += change

    def _count_minute(self, wanted: Admission) -> None:
        for key_id, limits in ((wanted.key_id, wanted.key_limits), ("", wanted.limits)):
            minute, requests = self.minutes.get((wanted.env_id, key_id), (0, 0))
            if minute < wanted.now // MINUTE_MS:
                minute, requests = wanted.now // MINUTE_MS, 0
            if limits.requests_per_minute:
                assert requests < limits.requests_per_minute, "more requests than a minute has"
            self.minutes[wanted.env_id, key_id] = (minute, requests + 1)


def drawable(packs: list[Pack], model: str, now: int) -> list[Pack]:
    """The packs that pay for this model at this moment."""
    return [
        pack
        for pack in packs
        if (not pack.models or model in pack.models)
        and (pack.expires_at is None or (now < pack.expires_at and not pack.expired))
    ]


def credits_say(
    wanted: Admission, packs: list[Pack], budget: tuple[int, int, int] | None
) -> tuple[Refusal | None, int]:
    """Why credits refuse, or how many output tokens they pay for."""
    need, packs = wanted.need, drawable(packs, wanted.model, wanted.now)
    available = sum(pack.available for pack in packs)
    held = sum(pack.held for pack in packs)
    floor = need.input_amount + min(need.output_floor, need.output_tokens) * need.output_weight
    paid = available
    if wanted.key_budgeted and budget is not None:
        limit, charged, held_by_key = budget
        paid = min(available, limit - charged - held_by_key)
        if floor > limit - charged - held_by_key:
            passing = floor <= limit - charged
            return Refusal.KEY_HELD if passing else Refusal.KEY_EXHAUSTED, 0
    if floor > available:
        return Refusal.HELD if floor <= available + held else Refusal.EXHAUSTED, 0
    if not need.output_weight:
        return None, need.output_tokens
    return None, min(need.output_tokens, (paid - need.input_amount) // need.output_weight)
