"""Keys that were seen, kept in memory; the ledger says when they are out of date.

There is no time to live. An admission carries the generation it was decided on, and the ledger's
transaction refuses it as stale if the environment has changed since. A refusal that was decided
from memory is confirmed against the current generation first. So a revoked key, a switched-off
model, a new key or a model just switched on is honoured on the very next request.
"""

from tollbridge.app.ports import AccountStore, KeyRecord
from tollbridge.units import KEYS_MAX


class Directory:
    """Key records by the hash of the key."""

    def __init__(self, store: AccountStore) -> None:
        self._store = store
        self._records: dict[bytes, KeyRecord] = {}

    def known(self, key_hash: bytes) -> KeyRecord | None:
        """The record, if it is in memory."""
        return self._records.get(key_hash)

    async def find(self, key_hash: bytes) -> KeyRecord | None:
        """The record, from memory or from the store; unknown keys are never remembered."""
        record = self._records.get(key_hash)
        if record is None:
            record = await self._store.find_key(key_hash)
            if record is not None:
                if len(self._records) >= KEYS_MAX:
                    self._records.pop(next(iter(self._records)))
                self._records[key_hash] = record
        return record

    async def is_current(self, key_hash: bytes, record: KeyRecord) -> bool:
        """Whether the record still says what the store says; if not, it is forgotten."""
        if await self._store.generation(record.env_id) == record.generation:
            return True
        self.forget(key_hash)
        return False

    def forget(self, key_hash: bytes) -> None:
        """Drop a record, so that it is read again."""
        self._records.pop(key_hash, None)
