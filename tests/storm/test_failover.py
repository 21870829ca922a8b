"""The primary dies under load, the standby takes over, and nothing that was told is lost."""

import asyncio

import pytest
from tests.contract.samples import admission, grant, need, settlement
from tests.contract.test_postgres_faults import audited
from tests.fakes.postgres_server import FAST, NoServerError, PostgresServer

from tollbridge.app.ports import StoreUnavailableError
from tollbridge.ledger.model import Hold
from tollbridge.storage.postgres import PostgresStore
from tollbridge.units import LEASE_MS, EnvId, Millis

ENV = EnvId("e")
CLIENTS = 32

pytestmark = pytest.mark.slow


def test_no_settlement_is_lost_when_the_primary_dies() -> None:
    servers: list[PostgresServer] = []
    try:
        primary = PostgresServer(*FAST)
        servers.append(primary)
        primary.start()
        dsn = primary.create_ledger()
        standby = PostgresServer(*FAST, copy_of=primary)
        servers.append(standby)
        standby.start()
        # From here on a commit is told only when both have it.
        primary.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{standby.name}'")
        primary.execute("SELECT pg_reload_conf()")
        both = dsn.replace(f":{primary.port}/", f":{primary.port},127.0.0.1:{standby.port}/")
        told = asyncio.run(_live_through(primary, standby, both))
        report = audited(standby.dsn(dsn.rpartition("/")[2]))
        recorded = standby.execute(
            "SELECT request_id FROM usage_records WHERE amount = 30", dsn.rpartition("/")[2]
        )
    except NoServerError as error:
        pytest.skip(f"PostgreSQL is left out: {error}")
    finally:
        for server in servers:
            server.remove()
    assert report.differences == []
    assert report.open_holds == []
    assert len(told) > 100
    assert told <= set(recorded.split())


async def _live_through(primary: PostgresServer, standby: PostgresServer, dsn: str) -> set[str]:
    stores = [PostgresStore(dsn) for _ in range(3)]
    await stores[0].create_environment(ENV, "Acme", Millis(0))
    await stores[0].grant(grant("p1", 10**9, env_id=ENV))
    told: set[str] = set()
    after: set[str] = set()
    promoted = False
    stopping = asyncio.Event()

    async def client(number: int) -> None:
        store, turn = stores[number % 3], 0
        while not stopping.is_set():
            turn += 1
            name = f"r{number}-{turn}"
            try:
                hold = await store.admit(admission(name, need(), env_id=ENV, worker_id="w"))
            except StoreUnavailableError:
                continue
            assert isinstance(hold, Hold)
            while True:
                try:
                    await store.settle(settlement(name, 30, env_id=ENV))
                    break
                except StoreUnavailableError:
                    await asyncio.sleep(0.1)
            told.add(name)
            if promoted:
                after.add(name)
                if len(after) > 10 * CLIENTS:
                    stopping.set()

    clients = [asyncio.ensure_future(client(number)) for number in range(CLIENTS)]
    await asyncio.sleep(1)
    await asyncio.to_thread(primary.kill)
    await asyncio.to_thread(standby.promote)
    promoted = True
    await asyncio.wait_for(asyncio.gather(*clients), 60)
    # Of admissions nobody was told of, holds may be left; they are recovered as a dead worker's.
    await stores[0].close("w")
    await stores[1].sweep(Millis(LEASE_MS + 1))
    for store in stores[1:]:
        await store.close("w")
    return told
