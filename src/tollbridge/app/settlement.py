"""The end of an exchange on the ledger: exactly once, whatever else fails."""

import asyncio
from collections import deque

from tollbridge.app.ports import (
    AccountStore,
    Observer,
    SettlementConflictError,
    Spool,
    StoreUnavailableError,
    UnknownHoldError,
)
from tollbridge.ledger.model import Settled, Settlement


class Settler:
    """Settles, and keeps for later what could not be settled because the database was away.

    What waits is in the spool too, so that it survives this process. New requests are refused
    meanwhile without anybody's doing: an admission needs the same database.
    """

    def __init__(self, store: AccountStore, observer: Observer, spool: Spool) -> None:
        self.waiting: deque[Settlement] = deque()
        self._store = store
        self._observer = observer
        self._spool = spool
        self._spooled = False
        self._keeping = 0

    def adopt(self) -> None:
        """Take over what dead workers left in the spool; the next `retry` settles it."""
        adopted = self._spool.adopt()
        self.waiting.extend(adopted)
        self._spooled = self._spooled or bool(adopted)

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
            # The process ends, and there may be no next `retry`.
            self.waiting.append(settlement)
            self._spooled = True
            self._write(settlement)
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, no charge is lost
            self._reject(settlement, error)
            return None
        await self._keep(settlement)
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
            except Exception as error:  # noqa: BLE001  # those behind it must not wait for it
                self._reject(settlement, error)
        if self._spooled and not self.waiting and not self._keeping:
            self._spooled = False
            self._spool.clear()

    def close(self) -> None:
        """What still waits is in the spool, for the next worker."""
        self._spool.close()

    async def _keep(self, settlement: Settlement) -> None:
        """A disk that fails is told; the settlement still waits in memory."""
        self._spooled = True
        self._keeping += 1
        try:
            await asyncio.to_thread(self._write, settlement)
        except asyncio.CancelledError:
            self._write(settlement)  # the thread may never begin; two lines of it do no harm
            raise
        finally:
            self._keeping -= 1

    def _write(self, settlement: Settlement) -> None:
        try:
            self._spool.keep(settlement)
        except OSError as error:
            self._observer.trouble("a settlement could not be spooled", error)

    def _reject(self, settlement: Settlement, error: Exception) -> None:
        """The client has had its answer; only the operator can look into this."""
        known = isinstance(error, (UnknownHoldError, SettlementConflictError))
        what = "a settlement does not fit the ledger" if known else "bug in a settlement"
        self._observer.trouble(what, error)
        try:
            self._spool.reject(settlement, str(error))
        except OSError as failed:
            self._observer.trouble("a settlement could not be set aside", failed)
