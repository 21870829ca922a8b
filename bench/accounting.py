"""CPU per request of admit + settle on SQLite.

Usage: PYTHONPATH=src python bench/accounting.py [requests]

Each row serves that many requests from closed loops: as many tasks as the concurrency says, each
admits, then settles, then begins again. CPU is user + system time of the whole process, its
checkpoint thread included. Two processes share one file and one pack; each prints its row. With
limits every one of them is set: slots, minutes and tokens of key and environment, the key's budget.
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
from tollbridge.app.ports import Grant, KeyInfo
from tollbridge.ledger.audit import audit
from tollbridge.ledger.model import UNLIMITED, Admission, Hold, Limits, Need, Settlement
from tollbridge.storage.sqlite import SqliteStore, audit_rows
from tollbridge.units import EnvId, KeyId, MicroCredits, Millis, PackId, Tokens
from tollbridge.usage import Provenance, TokenUsage

NEED = Need(MicroCredits(1_000), MicroCredits(10), Tokens(1_000), Tokens(16))
KEY = KeyId("key_0123456789abcdef01234567")
MODEL = "hy3-preview"
WIDE = Limits(concurrency=10_000, requests_per_minute=10**9, tokens_per_minute=10**12)


def now() -> Millis:
    return Millis(time.time_ns() // 1_000_000)


async def prepare(path: Path, environments: int, limited: bool) -> None:
    store = SqliteStore(path)
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


async def client(
    store: SqliteStore, number: int, limited: bool, ids: "itertools.count[int]", end: int
) -> None:
    env_id = EnvId(f"env-{number}")
    key_id = KeyId(f"{KEY}-{number}")
    limits = WIDE if limited else UNLIMITED
    while (served := next(ids)) < end:
        started = now()
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
                amount=MicroCredits(3_000 + served % 100),
                provenance=Provenance.REPORTED,
                outcome="finished",
                price_version="0123456789ab",
            )
        )


async def serve(
    path: Path,
    processes: int,
    concurrency: int,
    environments: int,
    limited: bool,
    requests: int,
) -> None:
    store = SqliteStore(path)
    ids = itertools.count()
    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(
        *(
            client(store, index % environments, limited, ids, requests)
            for index in range(concurrency)
        )
    )
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    commits = store.commits
    await store.close(str(os.getpid()))
    print(
        f"{processes:>9}  {concurrency:>11}  {environments:>12}  {'all' if limited else 'none':>6}"
        f"  {cpu / requests * 1e6:>14.1f}"
        f"  {requests / wall:>10.0f}  {2 * requests / commits:>19.1f}",
        flush=True,
    )


def run(*arguments: Any) -> None:
    uvloop.run(serve(*arguments))


def main() -> None:
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    print(
        "processes  concurrency  environments  limits  CPU us/request  requests/s"
        "  commands per commit"
    )
    for processes, concurrency, environments, limited in (
        *((1, 1, 1, False), (1, 8, 1, False), (1, 64, 1, False)),
        *((1, 1, 1, True), (1, 8, 1, True), (1, 64, 1, True)),
        *((1, 8, 8, False), (1, 64, 64, False)),
        *((2, 8, 1, False), (2, 64, 1, False)),
    ):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "bench.db")
            asyncio.run(prepare(path, environments, limited))
            arguments = (path, processes, concurrency, environments, limited, requests)
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
