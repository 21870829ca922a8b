"""The gateway with a store that keeps nothing of what is spent, to see what accounting costs.

`python -m bench.gateway.unaccounted serve ...` is `tollbridge serve ...` otherwise: keys and models
are read from its database as ever.
"""

from collections.abc import Sequence
from typing import Any

from tollbridge import bootstrap
from tollbridge.app.ports import Store
from tollbridge.cli.main import main
from tollbridge.ledger.model import Admission, Checkpoint, Hold, Settled, Settlement
from tollbridge.storage.database import Database
from tollbridge.units import MicroCredits, Millis

PLENTY = MicroCredits(10**18)
FREE = Settled(amount=MicroCredits(0), overrun=MicroCredits(0))


class Unaccounted:
    """A store in which every hold is granted and nothing is written."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def admit(self, admission: Admission) -> Hold:
        """Whatever is asked."""
        return Hold(admission.request_id, (), admission.need.output_tokens, PLENTY)

    async def settle(self, _settlement: Settlement) -> Settled:
        """For nothing."""
        return FREE

    async def checkpoint(
        self, worker_id: str, checkpoints: Sequence[Checkpoint], now: Millis
    ) -> None:
        """Nothing is under way that could be lost."""


class UnaccountedDatabase(Database):
    """Opens such a store."""

    def open(self, *args: Any, **options: Any) -> Any:
        """On the store that is there."""
        return Unaccounted(super().open(*args, **options))


if __name__ == "__main__":
    bootstrap.Database = UnaccountedDatabase  # type: ignore[misc]
    main()
