import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tests.contract.samples import ENV, grant

from tollbridge.ledger.model import UNLIMITED
from tollbridge.storage.control_store import ControlTransactions
from tollbridge.storage.session import Session
from tollbridge.storage.sqlite import connect
from tollbridge.storage.sqlite_session import SqliteSession
from tollbridge.units import Millis

T = TypeVar("T")


class Noted(ControlTransactions):
    def __init__(self, path: Path) -> None:
        self.session = SqliteSession(connect(path, "NORMAL"))
        self.kinds: list[str] = []

    async def _write(self, change: Callable[[Session], T]) -> T:
        self.kinds.append("write")
        return change(self.session)

    async def _read(self, query: Callable[[Session], T]) -> T:
        self.kinds.append("read")
        return query(self.session)


def test_changes_write_and_questions_read(tmp_path: Path) -> None:
    async def scenario() -> list[str]:
        store = Noted(tmp_path / "ledger.db")
        assert await store.create_environment(ENV, "Acme", Millis(0), UNLIMITED)
        assert await store.grant(grant("p1", 100))
        assert [pack.pack_id for pack in await store.packs(ENV)] == ["p1"]
        assert await store.take_alerts(Millis(0)) == ()
        store.session.connection.close()
        return store.kinds

    assert asyncio.run(scenario()) == ["write", "write", "read", "read"]
