import asyncio
from pathlib import Path

from tests.contract.samples import DAY_MS, ENV, admission, grant, need

from tollbridge.storage.sqlite import SqliteStore
from tollbridge.storage.sweep import Due, due
from tollbridge.units import LEASE_MS, Millis


def test_what_is_due(memory: Path) -> None:
    async def scenario() -> None:
        store = SqliteStore(memory)
        await store.create_environment(ENV, "Acme", Millis(0))
        await store.grant(grant("p1", 100, expires_at=DAY_MS))
        await store.admit(admission("r1", need()))
        assert due(store._session, Millis(1)) == Due([], [], has_dead_workers=False)
        assert due(store._session, LEASE_MS) == Due([(ENV, "r1")], [], has_dead_workers=True)
        late = due(store._session, Millis(DAY_MS))
        assert late.packs == [(ENV, "p1")]
        await store.close("worker-1")

    asyncio.run(scenario())
