"""CPU per request of admit + settle on SQLite.

Usage: PYTHONPATH=src python bench/accounting.py [requests]

Each row serves that many requests from closed loops: as many tasks as the concurrency says, each
admits, then settles, then begins again. CPU is user + system time of the whole process, its
checkpoint thread included. Two processes share one file and one pack; each prints its row.
"""

import asyncio
import itertools
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop

from tollbridge.access.keys import REQUEST_ID_ENTROPY_BYTES, mint_request_id
from tollbridge.app.ports import Grant
from tollbridge.ledger.audit import audit
from tollbridge.ledger.model import Admission, Hold, Need, Settlement
from tollbridge.storage.sqlite import SqliteStore, audit_rows
from tollbridge.units import EnvId, KeyId, MicroCredits, Millis, PackId, Tokens
from tollbridge.usage import Provenance, TokenUsage

NEED = Need(MicroCredits(1_000), MicroCredits(10), Tokens(1_000), Tokens(16))
KEY = KeyId("key_0123456789abcdef01234567")
MODEL = "hy3-preview"


def now() -> Millis:
    return Millis(time.time_ns() // 1_000_000)


async def prepare(path: Path, environments: int) -> None:
    store = SqliteStore(path)
    for number in range(environments):
        env_id = EnvId(f"env-{number}")
        await store.create_environment(env_id, "bench", now())
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


async def client(store: SqliteStore, env_id: EnvId, ids: "itertools.count[int]", end: int) -> None:
    while (number := next(ids)) < end:
        started = now()
        request_id = mint_request_id(started, os.urandom(REQUEST_ID_ENTROPY_BYTES))
        held = await store.admit(
            Admission(
                request_id=request_id,
                env_id=env_id,
                key_id=KEY,
                generation=1,
                model=MODEL,
                need=NEED,
                worker_id=str(os.getpid()),
                now=started,
                client_protocol="chat",
                stream=True,
                price_version="0123456789ab",
            )
        )
        assert isinstance(held, Hold), held
        await store.settle(
            Settlement(
                request_id=request_id,
                env_id=env_id,
                key_id=KEY,
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


async def serve(
    path: Path, processes: int, concurrency: int, environments: int, requests: int
) -> None:
    store = SqliteStore(path)
    ids = itertools.count()
    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(
        *(
            client(store, EnvId(f"env-{index % environments}"), ids, requests)
            for index in range(concurrency)
        )
    )
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    commits = store.commits
    await store.close(str(os.getpid()))
    print(
        f"{processes:>9}  {concurrency:>11}  {environments:>12}  {cpu / requests * 1e6:>14.1f}"
        f"  {requests / wall:>10.0f}  {2 * requests / commits:>19.1f}",
        flush=True,
    )


def run(*arguments: Any) -> None:
    uvloop.run(serve(*arguments))


def main() -> None:
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    print("processes  concurrency  environments  CPU us/request  requests/s  commands per commit")
    for processes, concurrency, environments in (
        *((1, 1, 1), (1, 8, 1), (1, 64, 1)),
        *((1, 8, 8), (1, 64, 64)),
        *((2, 8, 1), (2, 64, 1)),
    ):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "bench.db")
            asyncio.run(prepare(path, environments))
            arguments = (path, processes, concurrency, environments, requests)
            workers = [
                multiprocessing.Process(target=run, args=arguments) for _ in range(processes)
            ]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            with audit_rows(path) as rows:
                report = audit(rows)
            assert not report.differences, report.differences[:5]
            assert report.exchanges == requests * processes


if __name__ == "__main__":
    main()
