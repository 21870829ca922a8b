"""The cost of the ledger: CPU per request of admit + settle, requests per second, added wait.

Usage: PYTHONPATH=src:. python -m bench.accounting [requests] [sqlite|postgres ...]

Closed loops first: as many tasks as the concurrency says, each admits, then settles, then begins
again. CPU is user + system time: of the gateway's processes, and of PostgreSQL's own; "off" is the
same loop on a store that grants everything and writes nothing. Then paced loads, of 2,000 requests
a second and of half of what the closed loops reached: the wait is what `admit` takes. Several
processes share one database and one pack. PostgreSQL is started for this with `fsync` on and its
defaults otherwise; without a server it is left out. With limits every one of them is set: slots,
minutes and tokens of key and environment, and the key's budget.
"""

import asyncio
import contextlib
import functools
import itertools
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.queues import Queue
from pathlib import Path
from typing import NamedTuple

import uvloop
from bench.gateway.unaccounted import Unaccounted
from tests.fakes.postgres_server import NoServerError, PostgresServer, postgres_running

from tollbridge.access.keys import REQUEST_ID_ENTROPY_BYTES, mint_request_id
from tollbridge.app.ports import Grant, KeyInfo
from tollbridge.ledger.audit import audit
from tollbridge.ledger.model import UNLIMITED, Admission, Hold, Limits, Need, Settlement
from tollbridge.storage.database import Database
from tollbridge.storage.postgres import PostgresStore
from tollbridge.storage.sqlite import SqliteStore
from tollbridge.units import EnvId, KeyId, MicroCredits, Millis, PackId, Tokens
from tollbridge.usage import Provenance, TokenUsage

NEED = Need(MicroCredits(1_000), MicroCredits(10), Tokens(1_000), Tokens(16))
KEY = KeyId("key_0123456789abcdef01234567")
MODEL = "hy3-preview"
WIDE = Limits(concurrency=10_000, requests_per_minute=10**9, tokens_per_minute=10**12)
Store = SqliteStore | PostgresStore | Unaccounted

CLOSED = (
    # processes, concurrency, environments, limits
    *((1, 1, 1, False), (1, 8, 1, False), (1, 64, 1, False), (1, 256, 1, False)),
    *((1, 64, 1, True), (3, 64, 1, False)),
    *((1, 64, 64, False), (1, 256, 1_000, False), (3, 128, 1_000, False)),
)
PACED = (1, 1_000)
"""Environments."""
PACED_PER_S = 2_000
PACED_S = 3.0


class Load(NamedTuple):
    processes: int
    concurrency: int
    environments: int
    limited: bool
    requests: int


def now() -> Millis:
    return Millis(time.time_ns() // 1_000_000)


async def prepare(database: Database, environments: int, *, limited: bool = False) -> None:
    store = database.open()
    for number in range(environments):
        env_id = EnvId(f"env-{number}")
        await store.create_environment(env_id, "bench", now())
        if limited:
            await store.add_key(
                KeyInfo(
                    key_id=KeyId(f"{KEY}-{number}"),
                    env_id=env_id,
                    name="",
                    hint="",
                    created_at=now(),
                    expires_at=None,
                    revoked_at=None,
                    budget=MicroCredits(10**15),
                ),
                number.to_bytes(32),
            )
        await store.grant(
            Grant(
                env_id=env_id,
                pack_id=PackId("pack"),
                amount=MicroCredits(10**15),
                expires_at=None,
                models=(),
                now=now(),
            )
        )
    await store.close("prepare")


async def request(store: Store, environment: int, number: int, *, limited: bool = False) -> float:
    """One request; returns how long its admission took, in seconds."""
    env_id, key_id = EnvId(f"env-{environment}"), KeyId(f"{KEY}-{environment}")
    limits = WIDE if limited else UNLIMITED
    started = now()
    begun = time.perf_counter()
    request_id = mint_request_id(started, os.urandom(REQUEST_ID_ENTROPY_BYTES))
    held = await store.admit(
        Admission(
            request_id=request_id,
            env_id=env_id,
            key_id=key_id,
            generation=2 if limited else 1,
            model=MODEL,
            need=NEED,
            worker_id=str(os.getpid()),
            now=started,
            client_protocol="chat",
            stream=True,
            price_version="0123456789ab",
            limits=limits,
            key_limits=limits,
            key_budgeted=limited,
        )
    )
    waited = time.perf_counter() - begun
    assert isinstance(held, Hold), held
    await store.settle(
        Settlement(
            request_id=request_id,
            env_id=env_id,
            key_id=key_id,
            model=MODEL,
            upstream="hunyuan",
            client_protocol="chat",
            stream=True,
            started_at=started,
            ended_at=now(),
            usage=TokenUsage(input=100, output=200),
            amount=MicroCredits(3_000 + number % 100),
            provenance=Provenance.REPORTED,
            outcome="finished",
            price_version="0123456789ab",
        )
    )
    return waited


async def closed_loops(database: Database, load: Load) -> tuple[float, float, float]:
    """CPU and wall time in seconds, and commands per transaction."""
    store = database.open()
    assert isinstance(store, SqliteStore | PostgresStore)
    cpu, wall = await clients(store, load)
    commits = store.commits
    await store.close(str(os.getpid()))
    return cpu, wall, 2 * load.requests / commits


async def clients(store: Store, load: Load) -> tuple[float, float]:
    """CPU and wall time of the loops in seconds."""
    ids = itertools.count()

    async def client(index: int) -> None:
        while (number := next(ids)) < load.requests:
            await request(store, index % load.environments, number, limited=load.limited)

    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*map(client, range(load.concurrency)))
    return time.process_time() - cpu, time.perf_counter() - wall


@functools.cache
def without_accounting(load: Load) -> float:
    """CPU seconds of a request whose store does nothing."""
    cpu, _ = uvloop.run(clients(Unaccounted(None), load))  # type: ignore[arg-type]
    return cpu / load.requests


async def paced(database: Database, environments: int, per_second: float) -> list[float]:
    """Waits in milliseconds, in order of length."""
    store = database.open()
    assert isinstance(store, SqliteStore | PostgresStore)
    loop = asyncio.get_running_loop()
    begin = loop.time()
    tasks = []
    for number in range(int(PACED_S * per_second)):
        due = begin + number / per_second
        if (delay := due - loop.time()) > 0:
            await asyncio.sleep(delay)
        tasks.append(loop.create_task(request(store, number * 7919 % environments, number)))
    waits = sorted(1000 * wait for wait in await asyncio.gather(*tasks))
    await store.close(str(os.getpid()))
    return waits[len(waits) // 10 :]  # the first tenth warms up


def run(database: Database, load: Load, results: "Queue[tuple[float, float, float]]") -> None:
    results.put(uvloop.run(closed_loops(database, load)))


def run_paced(
    database: Database, environments: int, rate: float, results: "Queue[list[float]]"
) -> None:
    results.put(uvloop.run(paced(database, environments, rate)))


def measure(engine: str, database: Database, load: Load, server: PostgresServer | None) -> float:
    """Print a row; returns requests per second."""
    asyncio.run(prepare(database, load.environments, limited=load.limited))
    results: Queue[tuple[float, float, float]] = multiprocessing.Queue()
    workers = [
        multiprocessing.Process(target=run, args=(database, load, results))
        for _ in range(load.processes)
    ]
    server_cpu = server.cpu_s() if server else 0.0
    for worker in workers:
        worker.start()
    measured = [results.get() for _ in workers]
    for worker in workers:
        worker.join()
    server_cpu = server.cpu_s() - server_cpu if server else 0.0
    with database.audit_rows() as rows:
        report = audit(rows)
    assert not report.differences, report.differences[:5]
    total = load.requests * load.processes
    assert report.exchanges == total
    rate = total / max(wall for _, wall, _ in measured)
    cpu = sum(cpu for cpu, _, _ in measured) / total * 1e6
    off = without_accounting(load) * 1e6
    together = sum(count for *_, count in measured) / load.processes
    print(
        f"{engine:>8}  {load.processes:>9}  {load.concurrency:>11}  {load.environments:>12}"
        f"  {'all' if load.limited else 'none':>6}"
        f"  {cpu:>14.0f}  {off:>3.0f}  {server_cpu / total * 1e6:>13.0f}"
        f"  {rate:>10.0f}  {together:>19.1f}",
        flush=True,
    )
    return rate


@contextlib.contextmanager
def databases(engine: str) -> Iterator[tuple[PostgresServer | None, Iterator[Database]]]:
    """New databases of one engine, as many as asked for."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if engine == "sqlite":
            yield None, (Database(folder / str(number)) for number in itertools.count())
        else:
            server = stack.enter_context(postgres_running())
            yield server, (Database(folder, server.create_ledger()) for _ in itertools.count())


def main() -> None:
    arguments = sys.argv[1:]
    requests = int(arguments.pop(0)) if arguments and arguments[0].isdigit() else 5_000
    for engine in arguments or ["sqlite", "postgres"]:
        try:
            with databases(engine) as (server, fresh):
                bench(engine, requests, server, fresh)
        except NoServerError as error:
            print(f"PostgreSQL is left out: {error}")


def bench(
    engine: str, requests: int, server: PostgresServer | None, fresh: Iterator[Database]
) -> None:
    print("  engine  processes  concurrency  environments  limits  CPU us/request  off"
          "  server us/req.  requests/s  commands per commit")  # fmt: skip
    best: dict[int, float] = {}
    for processes, concurrency, environments, limited in CLOSED:
        load = Load(processes, concurrency, environments, limited, requests)
        rate = measure(engine, next(fresh), load, server)
        if processes == 1 and not limited:
            best[environments] = max(best.get(environments, 0.0), rate)
    for environments in PACED:
        for rate in (PACED_PER_S, best[environments] / 2):
            paced_row(engine, next(fresh), environments, rate)


def paced_row(engine: str, database: Database, environments: int, rate: float) -> None:
    """Print what admissions wait at a rate."""
    asyncio.run(prepare(database, environments))
    results: Queue[list[float]] = multiprocessing.Queue()
    worker = multiprocessing.Process(target=run_paced, args=(database, environments, rate, results))
    worker.start()
    waits = results.get()
    worker.join()
    print(
        f"{engine:>8}  {environments} environments at {rate:.0f} requests/s:"
        f" admission waits {waits[len(waits) // 2]:.2f} ms median,"
        f" {waits[len(waits) * 99 // 100]:.2f} ms p99",
        flush=True,
    )


if __name__ == "__main__":
    main()
