"""Thinking that waits in a worker's memory for the next turn (implements `ports.Vault`).

A turn whose next request comes to another worker, or after a restart, is without it; the plan
then tries once more with thinking turned off.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tollbridge.translate.bridge import Kept
from tollbridge.units import (
    VAULT_BYTES_MAX,
    VAULT_ENTRY_BYTES_MAX,
    VAULT_ENVIRONMENT_BYTES_MAX,
    VAULT_MS,
    EnvId,
    Millis,
)

ENTRY_OVERHEAD_BYTES = 400
"""What an entry costs besides its blocks."""


class _Entry(NamedTuple):
    blocks: bytes
    until: Millis


class MemoryVault:
    """Entries by environment and call id, oldest first; the oldest make room."""

    def __init__(
        self,
        worker_bytes_max: int = VAULT_BYTES_MAX,
        environment_bytes_max: int = VAULT_ENVIRONMENT_BYTES_MAX,
    ) -> None:
        self.bytes = 0
        self._worker_bytes_max = worker_bytes_max
        self._environment_bytes_max = environment_bytes_max
        self._ages: OrderedDict[tuple[EnvId, str], int] = OrderedDict()
        self._entries: dict[EnvId, OrderedDict[str, _Entry]] = {}
        self._sizes: dict[EnvId, int] = {}

    def may_hold(self, env_id: EnvId) -> bool:
        """Whether anything is kept for the environment."""
        return env_id in self._entries

    async def keep(self, env_id: EnvId, kept: Kept, now: Millis) -> None:
        """Keep a turn's thinking for `VAULT_MS`."""
        size = len(kept.blocks) + ENTRY_OVERHEAD_BYTES
        if size > min(VAULT_ENTRY_BYTES_MAX, self._environment_bytes_max, self._worker_bytes_max):
            return
        self._forget_expired(now)
        self._forget(env_id, kept.call_id)
        entries = self._entries.get(env_id, OrderedDict())
        while self._sizes.get(env_id, 0) + size > self._environment_bytes_max:
            self._forget(env_id, next(iter(entries)))
        while self.bytes + size > self._worker_bytes_max:
            self._forget(*next(iter(self._ages)))
        self._entries.setdefault(env_id, entries)[kept.call_id] = _Entry(
            kept.blocks, Millis(now + VAULT_MS)
        )
        self._ages[env_id, kept.call_id] = size
        self._sizes[env_id] = self._sizes.get(env_id, 0) + size
        self.bytes += size

    async def recall(
        self, env_id: EnvId, call_ids: Sequence[str], now: Millis
    ) -> Mapping[str, bytes]:
        """What is kept of these calls."""
        self._forget_expired(now)
        entries: Mapping[str, _Entry] = self._entries.get(env_id, {})
        return {call_id: entries[call_id].blocks for call_id in call_ids if call_id in entries}

    def _forget_expired(self, now: Millis) -> None:
        # All live equally long, so that the oldest go first.
        while self._ages:
            env_id, call_id = next(iter(self._ages))
            if self._entries[env_id][call_id].until > now:
                return
            self._forget(env_id, call_id)

    def _forget(self, env_id: EnvId, call_id: str) -> None:
        size = self._ages.pop((env_id, call_id), None)
        if size is None:
            return
        self.bytes -= size
        self._sizes[env_id] -= size
        entries = self._entries[env_id]
        del entries[call_id]
        if not entries:
            del self._entries[env_id], self._sizes[env_id]
