"""Records in memory, and the store that knows when they are out of date."""

import asyncio

import pytest
from tests.fakes.exchange_parts import FlakyStore

from tollbridge.app import directory as module
from tollbridge.app.directory import Directory
from tollbridge.app.ports import KeyRecord, StoreUnavailableError
from tollbridge.units import EnvId, KeyId


class Store:
    """One generation for all, and a record for every hash but `unknown`."""

    def __init__(self) -> None:
        self.now = 1
        self.asked: list[bytes] = []

    async def find_key(self, key_hash: bytes) -> KeyRecord | None:
        self.asked.append(key_hash)
        if key_hash == b"unknown":
            return None
        return KeyRecord(
            key_id=KeyId(key_hash.decode()),
            env_id=EnvId("acme"),
            name="",
            expires_at=None,
            revoked_at=None,
            generation=self.now,
            models_on=frozenset(),
        )

    async def generation(self, env_id: EnvId) -> int | None:
        return self.now


def test_a_key_is_read_once():
    store = Store()
    directory = Directory(store)

    async def scenario():
        first = await directory.find(b"a")
        assert await directory.find(b"a") is first
        assert await directory.is_current(b"a", first)

    asyncio.run(scenario())
    assert store.asked == [b"a"]


def test_unknown_keys_are_asked_for_each_time():
    store = Store()
    directory = Directory(store)

    async def scenario():
        assert await directory.find(b"unknown") is None
        assert await directory.find(b"unknown") is None

    asyncio.run(scenario())
    assert len(store.asked) == 2


def test_what_is_out_of_date_is_forgotten():
    store = Store()
    directory = Directory(store)

    async def scenario():
        old = await directory.find(b"a")
        store.now = 2
        assert not await directory.is_current(b"a", old)
        assert (await directory.find(b"a")).generation == 2
        directory.forget(b"a")
        directory.forget(b"a")

    asyncio.run(scenario())


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "KEYS_MAX", 2)
    store = Store()
    directory = Directory(store)

    async def scenario():
        for key_hash in (b"a", b"b", b"c", b"b", b"a"):
            await directory.find(key_hash)

    asyncio.run(scenario())
    assert store.asked == [b"a", b"b", b"c", b"a"]
    assert len(directory._records) == 2


def test_a_store_that_is_away(tmp_path):
    async def scenario():
        store = FlakyStore(tmp_path / "ledger.db")
        store.away = True
        with pytest.raises(StoreUnavailableError):
            await Directory(store).find(b"a")
        await store.close("")

    asyncio.run(scenario())
