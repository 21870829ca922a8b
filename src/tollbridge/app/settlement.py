"""The end of an exchange on the ledger: exactly once, whatever else fails."""

import asyncio
from collections import deque

from tollbridge.app.ports import (
    AccountStore,
    Observer,
    SettlementConflictError,
    StoreUnavailableError,
    UnknownHoldError,
)
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
        """Commit the settlement; None: it will be committed later, or the ledger knows better.

        A caller that is cancelled meanwhile need not come back: a settlement is idempotent, so it
        is simply done again by the next `retry`.
        """
        try:
            return await self._store.settle(settlement)
        except StoreUnavailableError as error:
            self._observer.trouble("a settlement waits for the database", error)
            self.waiting.append(settlement)
        except asyncio.CancelledError:
            self.waiting.append(settlement)
            raise
        except (UnknownHoldError, SettlementConflictError) as error:
            # The client has had its answer; only the operator can look into this.
            self._observer.trouble("a settlement does not fit the ledger", error)
        return None

    async def retry(self) -> None:
        """Settle what waits, oldest first.

        Raises:
            StoreUnavailableError: the database is still away.
        """
        for _ in range(len(self.waiting)):
            settlement = self.waiting.popleft()
            try:
                await self._store.settle(settlement)
            except (StoreUnavailableError, asyncio.CancelledError):
                self.waiting.appendleft(settlement)
                raise
            except (UnknownHoldError, SettlementConflictError) as error:
                self._observer.trouble("a settlement does not fit the ledger", error)
