import asyncio

import pytest
from tests.contract.samples import ENV, admission, grant, need, settlement
from tests.fakes.postgres_server import PostgresServer, free_port

from tollbridge.app.ports import StoreUnavailableError
from tollbridge.ledger.model import Hold
from tollbridge.storage import postgres, postgres_commit
from tollbridge.storage.postgres import PostgresStore
from tollbridge.units import EnvId, Millis


async def opened(server: PostgresServer, *environments: EnvId) -> PostgresStore:
    store = PostgresStore(server.create_ledger())
    for env_id in environments:
        await store.create_environment(env_id, "Acme", Millis(0))
        await store.grant(grant("p1", 100_000, env_id=env_id))
    return store


def test_what_arrives_together_is_committed_together(postgres: PostgresServer) -> None:
    async def scenario() -> None:
        store = await opened(postgres, ENV, EnvId("b"))
        holds = await asyncio.gather(
            *(
                store.admit(admission(f"r{n}", need(), env_id=(ENV, EnvId("b"))[n % 2]))
                for n in range(40)
            )
        )
        assert all(isinstance(hold, Hold) for hold in holds)
        assert store.commits == 1
        await store.close("worker-1")

    asyncio.run(scenario())


def test_two_stores_that_compete_both_get_on(postgres: PostgresServer) -> None:
    async def scenario() -> None:
        store = await opened(postgres, ENV)
        other = PostgresStore(store._connections._dsn)

        async def client(number: int) -> None:
            for turn in range(10):
                name = f"r{number}-{turn}"
                one = (store, other)[number % 2]
                assert isinstance(await one.admit(admission(name, need())), Hold)
                await one.settle(settlement(name, 30))

        await asyncio.gather(*map(client, range(12)))
        (pack,) = await store.packs(ENV)
        assert (pack.spent, pack.held) == (12 * 10 * 30, 0)
        await other.close("worker-2")
        await store.close("worker-1")

    asyncio.run(scenario())


@pytest.mark.parametrize("ticks", [0, 1, 2, 5, 20, 100])
def test_a_cancelled_admission_leaves_no_hold(ticks: int, postgres: PostgresServer) -> None:
    async def scenario() -> None:
        store = await opened(postgres, ENV)
        task = asyncio.ensure_future(store.admit(admission("r1", need())))
        for _ in range(ticks):
            await asyncio.sleep(0.0002)
        was_done = task.done()
        task.cancel()
        await asyncio.wait([task])
        await store._queue.drain()
        (pack,) = await store.packs(ENV)
        assert pack.held == (50 if was_done else 0)
        await store.close("worker-1")

    asyncio.run(scenario())


def test_a_database_that_stays_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_commit, "GIVE_UP_S", 0.05)
    monkeypatch.setattr(postgres, "GIVE_UP_S", 0.05)

    async def scenario() -> None:
        store = PostgresStore(f"postgresql://postgres@127.0.0.1:{free_port()}/none")
        answers = await asyncio.gather(
            store.admit(admission("r1", need())),
            store.settle(settlement("r1", 30)),
            store.find_key(b"0" * 32),
            store.packs(None),
            return_exceptions=True,
        )
        assert [type(answer) for answer in answers] == [StoreUnavailableError] * 4
        with pytest.raises(StoreUnavailableError):
            await store.close("worker-1")

    asyncio.run(scenario())


def test_a_database_without_a_schema_is_told(postgres: PostgresServer) -> None:
    async def scenario() -> None:
        store = PostgresStore(postgres.dsn("template1"))
        with pytest.raises(StoreUnavailableError, match="db migrate"):
            await store.admit(admission("r1", need()))
        with pytest.raises(StoreUnavailableError, match="db migrate"):
            await store.close("worker-1")

    asyncio.run(scenario())
