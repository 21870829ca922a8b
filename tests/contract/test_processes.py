"""Several processes on one SQLite file, and one that is killed."""

import asyncio
import multiprocessing
import signal
from multiprocessing.connection import Connection
from pathlib import Path

from tests.contract.samples import ENV, admission, grant, need, settlement

from tollbridge.ledger.audit import AuditReport, audit
from tollbridge.ledger.model import Hold, Refusal
from tollbridge.storage.sqlite import SqliteStore, audit_rows
from tollbridge.units import LEASE_MS, Millis

SPAWN = multiprocessing.get_context("spawn")
WANTED = need(10, 2, 20, 20)
"""Fifty, all or nothing."""


async def prepare(path: Path, amount: int) -> None:
    store = SqliteStore(path)
    await store.create_environment(ENV, "Acme", Millis(0))
    await store.grant(grant("small", amount))
    await store.close("prepare")


async def settle_some(path: Path, name: str, requests: int) -> int:
    store = SqliteStore(path)

    async def one(number: int) -> int:
        request_id = f"{name}-{number}"
        result = await store.admit(admission(request_id, WANTED, worker_id=name))
        if result is Refusal.HELD or result is Refusal.EXHAUSTED:
            return 0
        assert isinstance(result, Hold)
        # Every tenth costs more than was held, every third is void.
        amount = 70 if number % 10 == 0 else 0 if number % 3 == 0 else 50
        await store.settle(settlement(request_id, amount))
        return 1

    admitted = sum(await asyncio.gather(*map(one, range(requests))))
    await store.close(name)
    return admitted


def run_some(path: Path, name: str, requests: int, result: Connection) -> None:
    result.send(asyncio.run(settle_some(path, name, requests)))


def run_for_ever(path: Path, result: Connection) -> None:
    async def loop() -> None:
        store = SqliteStore(path)
        number = 0
        while True:
            names = [f"k-{number + n}" for n in range(8)]
            await asyncio.gather(
                *(store.admit(admission(name, WANTED, worker_id="killed")) for name in names)
            )
            await asyncio.gather(*(store.settle(settlement(name, 30)) for name in names[:7]))
            number += 8
            result.send(number)

    asyncio.run(loop())


def audited(path: Path) -> AuditReport:
    with audit_rows(path) as rows:
        report = audit(rows)
    assert report.differences == []
    return report


def test_two_processes_never_overdraw_a_small_pack(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    asyncio.run(prepare(path, 5_000))
    ends = [SPAWN.Pipe(duplex=False) for _ in range(2)]
    processes = [
        SPAWN.Process(target=run_some, args=(path, f"w{number}", 200, writer))
        for number, (_, writer) in enumerate(ends)
    ]
    for process in processes:
        process.start()
    admitted = sum(reader.recv() for reader, _ in ends)
    for process in processes:
        process.join()
        assert process.exitcode == 0
    report = audited(path)
    assert report.exchanges == admitted
    assert report.open_holds == []
    totals = report.environments[ENV]
    assert totals.granted == 5_000 == totals.available + totals.spent
    assert 100 <= admitted < 400


def test_a_killed_process_loses_nothing_that_it_was_told(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    asyncio.run(prepare(path, 10**9))
    reader, writer = SPAWN.Pipe(duplex=False)
    process = SPAWN.Process(target=run_for_ever, args=(path, writer))
    process.start()
    while (told := reader.recv()) < 200:
        pass
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    while reader.poll():
        told = reader.recv()
    report = audited(path)
    assert report.exchanges >= told // 8 * 7
    left = len(report.open_holds)
    assert left >= told // 8

    async def recover() -> int:
        store = SqliteStore(path)
        recovered = await store.sweep(LEASE_MS)
        await store.close("sweeper")
        return recovered

    assert asyncio.run(recover()) == left
    assert audited(path).open_holds == []
