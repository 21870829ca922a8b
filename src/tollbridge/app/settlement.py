"""The end of an exchange on the ledger: exactly once, whatever else fails."""

from collections import deque

from tollbridge.app.ports import AccountStore, Observer, StoreUnavailableError
from tollbridge.ledger.model import Settled, Settlement


class Settler:
    """Settles, and keeps for later what could not be settled because the database was away.

    While anything waits here no new request is admitted by this worker: the database is away, and
    admissions fail closed by themselves.
    """

    def __init__(self, store: AccountStore, observer: Observer) -> None:
        self.waiting: deque[Settlement] = deque()
        self._store = store
        self._observer = observer

    async def settle(self, settlement: Settlement) -> Settled | None:
        """Commit the settlement; None: the database is away, it will be committed later."""
        try:
            return await self._store.settle(settlement)
        except StoreUnavailableError as error:
            self._observer.trouble("a settlement waits for the database", error)
            self.waiting.append(settlement)
            return None

    async def retry(self) -> None:
        """Settle what waits, oldest first.

        Raises:
            StoreUnavailableError: the database is still away.
        """
        while self.waiting:
            await self._store.settle(self.waiting[0])
            self.waiting.popleft()
