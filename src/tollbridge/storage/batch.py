"""The hot commands: admit, settle, checkpoint, recover, expire.

A `Batch` lives in one transaction. Its commands read, let `ledger.machine` decide, and leave their
writes to `flush`. A pack that many commands of the batch draw from is read once and written once.
A command's writes are taken over at its end, all or none, so that one which fails leaves no trace.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
from msgspec.structs import astuple

from tollbridge.app.ports import SettlementConflictError, UnknownHoldError
from tollbridge.ledger import machine
from tollbridge.ledger.model import (
    UNLIMITED,
    Admission,
    Checkpoint,
    Hold,
    Leg,
    Pack,
    Refusal,
    Settled,
    Settlement,
    Transfer,
    TransferKind,
)
from tollbridge.storage.counters import Counters
from tollbridge.storage.memory import Memory, OpenHold
from tollbridge.storage.session import Row, Session
from tollbridge.storage.usage_rows import USAGE_COLUMNS, first_leg, usage_row
from tollbridge.units import (
    ALERT_LEVELS_DEFAULT,
    LEASE_MS,
    EnvId,
    MicroCredits,
    Millis,
    PackId,
    RequestId,
)
from tollbridge.usage import Provenance, TokenUsage

T = TypeVar("T")


_Change = tuple[Pack, Pack, Millis]
"""A pack before and after the batch, and when it changed last."""


class Batch:
    """The commands of one transaction.

    `leases` are the leases of the workers of this process, as far as they are committed; `levels`
    the percentages of a pack that are told when they are spent; `memory` is what is known before.
    A batch that is not `careful` leaves it to a constraint to refuse a request that was admitted
    before, and then all of it is refused.
    """

    def __init__(
        self,
        session: Session,
        leases: dict[str, Millis],
        levels: Sequence[int] = ALERT_LEVELS_DEFAULT,
        memory: Memory | None = None,
        *,
        careful: bool = True,
    ) -> None:
        self.session = session
        self.memory = memory = memory or Memory()
        self.is_committed = False
        self._careful = careful
        self._leases = leases
        self._levels = levels
        self._counters = Counters(session, memory)
        self._renewed: dict[str, Millis] = {}
        self._packs = memory.packs
        self._holds = memory.holds
        self._changed: dict[tuple[EnvId, PackId], _Change] = {}
        self._transfers: list[Row] = []
        self._begun: list[Row] = []
        self._checkpoints: list[Row] = []
        self._ended: list[Row] = []
        self._usage: dict[tuple[EnvId, RequestId], Row] = {}

    def admit(self, admission: Admission) -> Hold | Refusal:
        """Hold the price of a request, or say which check refused it."""
        if self._generation(admission.env_id) != admission.generation:
            return Refusal.STALE
        if self._careful and self._was_admitted(admission):
            return Refusal.DUPLICATE
        placed = self._place(admission)
        if isinstance(placed, Refusal) and not self._careful and self._was_admitted(admission):
            return Refusal.DUPLICATE
        return placed

    def _place(self, admission: Admission) -> Hold | Refusal:
        env_id, request_id, now = admission.env_id, admission.request_id, admission.now
        if admission.key_expires_at is not None and admission.key_expires_at <= now:
            return Refusal.KEY_EXPIRED
        key_id, counters = admission.key_id, self._counters
        budget = counters.budget(env_id, key_id) if admission.key_budgeted else None
        packs = machine.draw_order(self._live_packs(env_id).values(), admission.model, now)
        plan = machine.place_hold(packs, admission.need, budget)
        if isinstance(plan, Refusal):
            return plan
        tokens = 0
        if admission.limits != UNLIMITED or admission.key_limits != UNLIMITED:
            tokens = admission.input_tokens + plan.output_tokens
            refusal = counters.slot_refusal(admission) or counters.enter_minute(admission, tokens)
            if refusal is not None:
                return refusal
            if not (admission.limits.tokens_per_minute or admission.key_limits.tokens_per_minute):
                tokens = 0
        counters.count(env_id, key_id, 1)
        if budget is not None:
            counters.move_budget(env_id, key_id, 0, sum(leg.amount for leg in plan.legs))
        about = (
            *(key_id, admission.model, admission.worker_id, now, admission.client_protocol),
            *(int(admission.stream), admission.price_version, tokens, int(budget is not None)),
        )
        seq = 0
        for _, leg, pack_id, amount, _, number in map(astuple, plan.transfers):
            seq = seq or number
            self._begun.append((env_id, request_id, leg, pack_id, amount, number, *about))
        if not plan.transfers:
            self._begun.append((env_id, request_id, 0, None, 0, 0, *about))
        self._holds[env_id, request_id] = OpenHold(
            plan.legs, key_id, now, tokens, budget is not None, seq
        )
        self._move(env_id, request_id, plan.transfers[1:], plan.packs, now)
        if self._lease(admission.worker_id) - now < LEASE_MS // 2:
            self._renew(admission.worker_id, now)
        return Hold(request_id, plan.legs, plan.output_tokens, plan.available)

    def settle(self, settlement: Settlement) -> Settled:
        """End a hold and record the usage."""
        env_id, request_id = settlement.env_id, settlement.request_id
        hold = self._hold(env_id, request_id)
        if hold is None:
            return self._settled_before(settlement)
        legs, key_id, started_at, window_tokens, budgeted, seq = astuple(hold)
        ending = machine.settle(
            legs,
            self._live_packs(env_id),
            settlement.model,
            settlement.amount,
            settlement.ended_at,
        )
        others = ending.transfers[1:] if seq else ending.transfers
        self._move(env_id, request_id, others, ending.packs, settlement.ended_at)
        self._ended.append((env_id, request_id))
        self._holds.pop((env_id, request_id), None)
        counters = self._counters
        counters.count(env_id, key_id, -1)
        if window_tokens:
            used = settlement.usage.prompt + settlement.usage.output
            counters.correct_minute(env_id, key_id, started_at, window_tokens, used)
        if budgeted:
            held = sum(leg.amount for leg in legs)
            counters.move_budget(env_id, key_id, settlement.amount, -held)
        self._usage[env_id, request_id] = (
            *usage_row(settlement),
            ending.overrun,
            *first_leg(ending.transfers, started_at, seq),
        )
        return Settled(settlement.amount, ending.overrun)

    def checkpoint(self, worker_id: str, checkpoints: Sequence[Checkpoint], now: Millis) -> None:
        """Renew the worker's lease and note how far its streams are."""
        for checkpoint in checkpoints:
            usage = astuple(checkpoint.usage)
            self._checkpoints.append(
                (
                    *(*usage, checkpoint.amount, checkpoint.upstream, checkpoint.upstream_model),
                    *(checkpoint.env_id, checkpoint.request_id),
                )
            )
        self._renew(worker_id, now)

    def abandon(self, admission: Admission) -> None:
        """Void the hold of an admission, if it was placed: whoever asked for it has gone."""
        settlement = self.abandonment(admission)
        if settlement is not None:
            self.settle(settlement)

    def abandonment(self, admission: Admission) -> Settlement | None:
        """What voids the hold of an admission; None: none was placed."""
        if self._hold(admission.env_id, admission.request_id) is None:
            return None
        return Settlement(
            request_id=admission.request_id,
            env_id=admission.env_id,
            key_id=admission.key_id,
            model=admission.model,
            upstream="",
            client_protocol=admission.client_protocol,
            stream=admission.stream,
            started_at=admission.now,
            ended_at=admission.now,
            usage=TokenUsage(),
            amount=MicroCredits(0),
            provenance=Provenance.VOID,
            outcome="client_gone",
            price_version=admission.price_version,
        )

    def recover(self, env_id: EnvId, request_id: RequestId, now: Millis) -> bool:
        """Settle a dead worker's hold at its last checkpoint. False: another one did."""
        settlement = self.recovery(env_id, request_id, now)
        return settlement is not None and not self.settle(settlement).exists

    def recovery(self, env_id: EnvId, request_id: RequestId, now: Millis) -> Settlement | None:
        """What settles a dead worker's hold; None: another one did."""
        found = self.session.row("dead_hold", env_id, request_id, now)
        if found is None:
            return None
        key_id, model, upstream, upstream_model, protocol, stream, version, *counted = found
        started_at, *counts, charge = counted
        return Settlement(
            request_id=request_id,
            env_id=env_id,
            key_id=key_id,
            model=model,
            upstream=upstream,
            upstream_model=upstream_model,
            client_protocol=protocol,
            stream=bool(stream),
            started_at=started_at,
            ended_at=now,
            usage=TokenUsage(*counts),
            amount=MicroCredits(charge),
            provenance=Provenance.RECOVERED,
            outcome="killed",
            price_version=version,
        )

    def expire(self, env_id: EnvId, pack_id: PackId, now: Millis) -> bool:
        """Expire what a pack has available. False: another one did."""
        pack = self._live_packs(env_id).get(pack_id)
        if pack is None or (expired := machine.expire(pack, now)) is pack:
            return False
        lost = Transfer(TransferKind.EXPIRE, 0, pack_id, pack.available, seq=expired.seq)
        self._move(env_id, RequestId(pack_id), (lost,), (expired,), now)
        return True

    def change(self, change: Callable[[Session], T]) -> T:
        """Run what may change anything, in a transaction of its own."""
        self.memory = Memory()
        return change(self.session)

    def flush(self) -> None:
        """Write everything that the commands decided.

        The engine refuses it if two commands contradict each other, or one is malformed.
        """
        rows_of: tuple[tuple[str, list[Row]], ...] = (
            ("update_pack", [_balances(pack) for _, pack, _ in self._changed.values()]),
            ("insert_hold", self._begun),
            ("insert_transfer", self._transfers),
            ("checkpoint_hold", self._checkpoints),
            ("delete_hold", self._ended),
            ("insert_usage", list(self._usage.values())),
            ("renew_lease", list(self._renewed.items())),
            ("insert_alert", self._alerts()),
            *self._counters.rows(),
        )
        for name, rows in rows_of:
            if rows:
                self.session.write(name, *rows)

    def committed(self) -> None:
        """Told after the commit: the leases hold, and what is known is true."""
        self._leases.update(self._renewed)
        self.is_committed = True

    def _was_admitted(self, admission: Admission) -> bool:
        return self.session.row("admitted", admission.env_id, admission.request_id) is not None

    def _generation(self, env_id: EnvId) -> int | None:
        generations = self.memory.generations
        if env_id not in generations:
            found = self.session.row("generation", env_id)
            generations[env_id] = None if found is None else found[0]
        return generations[env_id]

    def _hold(self, env_id: EnvId, request_id: RequestId) -> OpenHold | None:
        """None: it was never placed, or has ended."""
        hold = self._holds.get((env_id, request_id))
        # A hold that this batch has ended stands in the database until the batch is written.
        if hold is None and (env_id, request_id) not in self._usage:
            rows = self.session.rows("hold_legs", env_id, request_id)
            if rows:
                legs = tuple(Leg(row[0], row[1]) for row in rows if row[1])
                return OpenHold(legs, *rows[0][2:])
        return hold

    def _alerts(self) -> list[Row]:
        return [
            (pack.env_id, pack.pack_id, level, at, pack.granted, pack.spent)
            for before, pack, at in self._changed.values()
            if pack.spent != before.spent
            for level in machine.levels_reached(before, pack, self._levels)
        ]

    def _live_packs(self, env_id: EnvId) -> dict[PackId, Pack]:
        packs = self._packs.get(env_id)
        if packs is None:
            rows = self.session.rows("live_packs", env_id)
            packs = self._packs[env_id] = {row[1]: read_pack(row) for row in rows}
        return packs

    def _move(
        self,
        env_id: EnvId,
        request_id: RequestId,
        transfers: tuple[Transfer, ...],
        packs: tuple[Pack, ...],
        now: Millis,
    ) -> None:
        """Take over the packs, and the transfers that no row of an exchange is the record of."""
        for kind, leg, pack_id, amount, released, seq in map(astuple, transfers):
            self._transfers.append(
                (env_id, request_id, kind.value, leg, pack_id, seq, amount, released, now)
            )
        live = self._packs[env_id]
        for pack in packs:
            pack_id = pack.pack_id
            change = self._changed.get((env_id, pack_id))
            before = live[pack_id] if change is None else change[0]
            live[pack_id] = pack
            self._changed[env_id, pack_id] = (before, pack, now)

    def _settled_before(self, settlement: Settlement) -> Settled:
        key = (settlement.env_id, settlement.request_id)
        found = self._usage.get(key) or self.session.row("find_usage", *key)
        if found is None:
            raise UnknownHoldError(f"{settlement.request_id} was never admitted")
        names = USAGE_COLUMNS
        recorded, overrun = found[: len(names)], found[len(names)]
        settled = Settled(recorded[names.index("amount")], overrun, exists=True)
        if recorded[names.index("provenance")] == Provenance.RECOVERED.value:
            return settled
        for name, old, new in zip(names, recorded, usage_row(settlement), strict=True):
            if old != new:
                raise SettlementConflictError(
                    f"{settlement.request_id} was settled before with another {name}"
                )
        return settled

    def _lease(self, worker_id: str) -> Millis:
        return self._renewed.get(worker_id) or self._leases.get(worker_id, Millis(0))

    def _renew(self, worker_id: str, now: Millis) -> None:
        self._renewed[worker_id] = Millis(now + LEASE_MS)


def read_pack(row: Row) -> Pack:
    """A pack from the columns of the statements `live_packs`, `find_pack` and `packs`."""
    (
        env_id,
        pack_id,
        granted,
        available,
        held,
        spent,
        expired,
        granted_at,
        expires_at,
        models,
        seq,
    ) = row
    return Pack(
        env_id=EnvId(env_id),
        pack_id=PackId(pack_id),
        granted=MicroCredits(granted),
        available=MicroCredits(available),
        held=MicroCredits(held),
        spent=MicroCredits(spent),
        expired=MicroCredits(expired),
        granted_at=Millis(granted_at),
        expires_at=None if expires_at is None else Millis(expires_at),
        models=() if models == "[]" else msgspec.json.decode(models, type=tuple[str, ...]),
        seq=seq,
    )


def _balances(pack: Pack) -> Row:
    return (
        *(pack.available, pack.held, pack.spent, pack.expired, pack.seq),
        *(pack.env_id, pack.pack_id),
    )
