"""One batch after another on one connection, each with what the one before it knew."""

from collections.abc import Sequence

from tollbridge.storage.batch import Batch
from tollbridge.storage.sqlite_session import SqliteSession
from tollbridge.units import Millis


class Batches:
    """Starts them, inside a transaction that has begun."""

    def __init__(self, session: SqliteSession, levels: Sequence[int]) -> None:
        self._session = session
        self._levels = levels
        self._leases: dict[str, Millis] = {}
        self._last: Batch | None = None

    def start(self, is_single: bool) -> Batch:
        """The next batch. What is known is dropped if it may have become wrong."""
        last, memory = self._last, None
        changed = self._session.changed_elsewhere()
        if last is not None and last.is_committed and not (changed or last.memory.is_full):
            memory = last.memory
        self._last = Batch(self._session, self._leases, self._levels, memory, careful=is_single)
        return self._last
