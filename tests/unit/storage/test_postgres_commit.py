import asyncio
from collections.abc import Callable

import asyncpg
import pytest
from tests.contract.samples import ENV, admission, grant, need, settlement
from tests.fakes.cutting_proxy import cutting_proxy
from tests.fakes.postgres_server import PostgresServer, free_port

from tollbridge.app.ports import StoreUnavailableError
from tollbridge.ledger.model import Hold
from tollbridge.storage import postgres, postgres_commit
from tollbridge.storage.postgres import PostgresStore
from tollbridge.storage.session import OutcomeUnknownError
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


def is_quiet(store: PostgresStore) -> bool:
    return not (any(store._queue._queues.values()) or store._queue._batches)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  # the queue tells nobody
        await asyncio.sleep(0)


FULL = """
CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN RAISE disk_full; END';
CREATE TRIGGER full_disk BEFORE {event} FOR EACH ROW {when} EXECUTE FUNCTION full_disk()
"""


def test_a_hold_nobody_waits_for_ends_when_the_disk_has_room_again(
    postgres: PostgresServer,
) -> None:
    async def scenario() -> None:
        store = await opened(postgres, ENV)
        database = store._connections._dsn.rpartition("/")[2]
        for request_id in ("r1", "r2"):
            assert isinstance(await store.admit(admission(request_id, need())), Hold)
        postgres.execute(FULL.format(event="DELETE ON holds", when=""), database)
        store._abandon(admission("r1", need()))
        with pytest.raises(StoreUnavailableError, match="disk"):
            await store.settle(settlement("r2", 30))
        postgres.execute("DROP TRIGGER full_disk ON holds", database)
        await until(lambda: is_quiet(store))
        await store.settle(settlement("r2", 30))
        (pack,) = await store.packs(ENV)
        assert (pack.held, pack.spent) == (0, 30)
        await store.close("worker-1")

    asyncio.run(scenario())


def test_a_hold_that_cannot_end_does_not_keep_others_from_theirs(postgres: PostgresServer) -> None:
    own = "WHEN (OLD.request_id = 'r1')"

    async def scenario() -> None:
        store = await opened(postgres, ENV, EnvId("b"))
        database = store._connections._dsn.rpartition("/")[2]
        assert isinstance(await store.admit(admission("r1", need())), Hold)
        postgres.execute(FULL.format(event="DELETE ON holds", when=own), database)
        store._abandon(admission("r1", need()))
        await until(lambda: store._queue._failures > 0)
        for request_id in ("r2", "r3"):
            admitted = admission(request_id, need(), env_id=EnvId("b"))
            assert isinstance(await store.admit(admitted), Hold)
        await asyncio.wait_for(store.close("worker-1"), 5)

    asyncio.run(scenario())


def test_a_hold_in_doubt_on_a_full_disk_does_not_stay(postgres: PostgresServer) -> None:
    full = "WHEN (NEW.request_id = 'r2')"

    async def scenario() -> int:
        direct = await opened(postgres)
        dsn, doubts = direct._connections._dsn, 0
        postgres.execute(FULL.format(event="INSERT ON holds", when=full), dsn.rpartition("/")[2])
        async with cutting_proxy(dsn) as proxy:
            store = PostgresStore(proxy.dsn)
            for message in range(1, 24):
                env_id = EnvId(f"e{message}")
                await direct.create_environment(env_id, "Acme", Millis(0))
                await direct.grant(grant("p1", 1_000, env_id=env_id))
                proxy.cut(message, lost=False)
                first = asyncio.ensure_future(store.admit(admission("r1", need(), env_id=env_id)))
                await until(lambda: bool(store._queue._batches))
                second = store.admit(admission("r2", need(), env_id=env_id))
                answer, other = await asyncio.gather(first, second, return_exceptions=True)
                assert isinstance(other, StoreUnavailableError)
                doubts += isinstance(answer, OutcomeUnknownError)
                await until(lambda: is_quiet(store))
                (pack,) = await direct.packs(env_id)
                assert pack.held == (50 if isinstance(answer, Hold) else 0), message
            await store.close("worker-1")
        await direct.close("worker-2")
        return doubts

    assert asyncio.run(scenario()) > 0


def test_who_waits_without_end_is_not_told_of_a_doubt(postgres: PostgresServer) -> None:
    async def scenario() -> None:
        store = await opened(postgres)
        queue, loop = store._queue, asyncio.get_running_loop()
        patient, other = (
            postgres_commit.Command[str](
                lambda _batch, _doubtful: "", None, loop.create_future(), deadline, droppable=False
            )
            for deadline in (float("inf"), loop.time() + 1)
        )
        patient.doubtful = other.doubtful = "written"
        queue._after(asyncpg.DiskFullError("no room"), [patient, other])
        assert not patient.future.done()
        assert isinstance(other.future.exception(), OutcomeUnknownError)
        assert [list(waiting) for waiting in queue._queues.values()] == [[patient]]
        queue._queues.clear()
        await store.close("worker-1")

    asyncio.run(scenario())
