"""The ports that need nothing but a transaction: they are the same on every engine."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from tollbridge.app.ports import (
    Alert,
    Environment,
    Grant,
    KeyInfo,
    Receipt,
    UpstreamUsageRow,
    UsageRow,
)
from tollbridge.ledger.model import UNLIMITED, Correction, Limits, Pack, PackTransfer
from tollbridge.routing.group import Group
from tollbridge.storage import control, group_records, records
from tollbridge.storage.session import Session
from tollbridge.units import EnvId, KeyId, MicroCredits, Millis, PackId, RequestId

T = TypeVar("T")


class ControlTransactions(ABC):
    """`ControlStore`, and what of `AccountStore` is not on the hot path.

    An engine says how a function of a session becomes a transaction.
    """

    @abstractmethod
    async def _write(self, change: Callable[[Session], T]) -> T:
        """Run it in one transaction and commit."""

    @abstractmethod
    async def _read(self, query: Callable[[Session], T]) -> T:
        """Run a query of any size, in one snapshot."""

    async def keep_prices(self, books: Mapping[str, str], now: Millis) -> None:
        """See `AccountStore`."""
        await self._write(lambda s: records.keep_prices(s, books, now))

    async def receipt(self, env_id: EnvId, request_id: RequestId) -> Receipt | None:
        """See `AccountStore`."""
        return await self._read(lambda s: records.receipt(s, env_id, request_id))

    async def take_alerts(self, now: Millis) -> Sequence[Alert]:
        """See `AccountStore`."""
        if not await self._read(lambda s: records.alerts_wait(s, now)):
            return ()
        return await self._write(lambda s: records.take_alerts(s, now))

    async def alert_sent(self, alert: Alert) -> None:
        """See `AccountStore`."""
        await self._write(lambda s: records.alert_sent(s, alert))

    async def create_environment(
        self, env_id: EnvId, name: str, now: Millis, limits: Limits = UNLIMITED
    ) -> bool:
        """See `ControlStore`."""
        return await self._write(lambda s: control.create_environment(s, env_id, name, now, limits))

    async def limit_environment(self, env_id: EnvId, limits: Limits) -> None:
        """See `ControlStore`."""
        await self._write(lambda s: control.limit_environment(s, env_id, limits))

    async def environments(self) -> Sequence[Environment]:
        """See `ControlStore`."""
        return await self._read(control.environments)

    async def add_key(self, key: KeyInfo, key_hash: bytes) -> None:
        """See `ControlStore`."""
        await self._write(lambda s: control.add_key(s, key, key_hash))

    async def keys(self, env_id: EnvId | None) -> Sequence[KeyInfo]:
        """See `ControlStore`."""
        return await self._read(lambda s: control.keys(s, env_id))

    async def revoke_key(self, key_id: KeyId, now: Millis) -> bool:
        """See `ControlStore`."""
        return await self._write(lambda s: control.revoke_key(s, key_id, now))

    async def limit_key(
        self, key_id: KeyId, limits: Limits, budget: MicroCredits, strict: bool | None = None
    ) -> bool:
        """See `ControlStore`."""
        return await self._write(lambda s: control.limit_key(s, key_id, limits, budget, strict))

    async def switch(self, env_id: EnvId, models: Sequence[str], *, on: bool) -> None:
        """See `ControlStore`."""
        await self._write(lambda s: control.switch(s, env_id, models, on=on))

    async def models_on(self, env_id: EnvId) -> frozenset[str]:
        """See `ControlStore`."""
        return await self._read(lambda s: control.models_on(s, env_id))

    async def put_group(self, group: Group, *, replace: bool = False) -> bool:
        """See `ControlStore`."""
        return await self._write(lambda s: group_records.put(s, group, replace=replace))

    async def remove_group(self, env_id: EnvId, name: str) -> bool:
        """See `ControlStore`."""
        return await self._write(lambda s: group_records.remove(s, env_id, name))

    async def groups(self, env_id: EnvId | None) -> Sequence[Group]:
        """See `ControlStore`."""
        return await self._read(lambda s: group_records.listed(s, env_id))

    async def grant(self, grant: Grant) -> bool:
        """See `ControlStore`."""
        return await self._write(lambda s: control.grant(s, grant))

    async def correct(self, correction: Correction) -> bool:
        """See `ControlStore`."""
        return await self._write(lambda s: records.correct(s, correction))

    async def transfers(self, env_id: EnvId, pack_id: PackId) -> Sequence[PackTransfer]:
        """See `ControlStore`."""
        return await self._read(lambda s: records.transfers(s, env_id, pack_id))

    async def packs(self, env_id: EnvId | None) -> Sequence[Pack]:
        """See `ControlStore`."""
        return await self._read(lambda s: control.packs(s, env_id))

    async def usage(self, env_id: EnvId | None, since: Millis, until: Millis) -> Sequence[UsageRow]:
        """See `ControlStore`."""
        return await self._read(lambda s: control.usage(s, env_id, since, until))

    async def upstream_usage(self, since: Millis, until: Millis) -> Sequence[UpstreamUsageRow]:
        """See `ControlStore`."""
        return await self._read(lambda s: records.upstream_usage(s, since, until))
