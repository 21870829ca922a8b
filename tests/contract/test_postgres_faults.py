"""Whatever fails on the way to PostgreSQL changes nothing but the time."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import asyncpg
import pytest
from tests.contract.samples import admission, checkpoint, grant, key, need, settlement
from tests.fakes.cutting_proxy import cutting_proxy
from tests.fakes.postgres_server import FAST, NoServerError, PostgresServer, postgres_running

from tollbridge.ledger.audit import AuditReport, audit
from tollbridge.ledger.model import Hold, Limits, Refusal, Settled
from tollbridge.storage.postgres import PostgresStore
from tollbridge.storage.postgres_audit import audit_rows
from tollbridge.storage.session import OutcomeUnknownError
from tollbridge.units import LEASE_MS, EnvId, KeyId, Millis

LIMITS = Limits(concurrency=5, requests_per_minute=100, tokens_per_minute=10_000)


def audited(dsn: str) -> AuditReport:
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: _audited(dsn)).result()


def _audited(dsn: str) -> AuditReport:
    with audit_rows(dsn) as rows:
        return audit(rows)


async def prepare(store: PostgresStore, env_id: EnvId) -> None:
    await store.create_environment(env_id, "Acme", Millis(0), LIMITS)
    info, key_hash = key(1, env_id, budget=1_000)
    await store.add_key(_named(info, f"key-{env_id}"), key_hash[:16] + _sixteen(env_id))
    await store.grant(grant("p1", 100, env_id=env_id))
    await store.grant(grant("p2", 1_000, env_id=env_id))


def _named(info, key_id: str):
    import msgspec

    return msgspec.structs.replace(info, key_id=KeyId(key_id))


def _sixteen(env_id: str) -> bytes:
    return env_id.encode().ljust(16, b"-")


async def hot_life(store: PostgresStore, env_id: EnvId) -> list[object]:
    """Every command of the hot path, one after the other; returns all answers."""
    worker = f"worker-{env_id}"
    about = {
        "env_id": env_id, "key_id": KeyId(f"key-{env_id}"), "worker_id": worker, "generation": 2,
        "limits": LIMITS, "key_budgeted": True,
    }  # fmt: skip
    ends = {"env_id": env_id, "key_id": about["key_id"]}
    answers: list[object] = [
        await store.admit(admission("r1", need(), **about)),
        await store.admit(admission("r2", need(30, 10, 4, 4), **about)),
        await store.admit(admission("r3", need(), **about)),
        await store.admit(admission("r4", need(9_999), **about)),
        await store.settle(settlement("r1", 44, **ends)),
    ]
    point = checkpoint("r3", 20)
    await store.checkpoint(
        worker, [type(point)(point.request_id, env_id, *_rest(point))], Millis(5)
    )
    answers += [
        await store.settle(settlement("r2", 120, **ends)),
        await store.settle(settlement("r2", 120, **ends)),
        await store.sweep(Millis(5 + LEASE_MS)),
        await store.settle(settlement("r3", 44, **ends)),
        await store.generation(env_id),
    ]
    return answers


def _rest(point) -> tuple:
    return (point.usage, point.amount, point.upstream, point.upstream_model)


EXPECTED = [
    Hold, Hold, Hold, Refusal.KEY_EXHAUSTED, Settled(44, 0), Settled(120, 0),
    Settled(120, 0, exists=True), 1, Settled(20, 0, exists=True), 2,
]  # fmt: skip


def check_answers(answers: list[object], why: str) -> None:
    for answer, expected in zip(answers, EXPECTED, strict=True):
        if isinstance(expected, type):
            assert isinstance(answer, expected), (why, answer)
        else:
            assert answer == expected, why


def check_ledger(dsn: str, environments: int) -> None:
    report = audited(dsn)
    assert report.differences == []
    assert report.open_holds == []
    totals = list(report.environments.values())
    assert len(totals) == environments
    assert all(one == totals[0] for one in totals)


class Conflicts:
    """Lets one statement, counted from `arm` on, fail with 40001."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen = 0
        self.fails_at = 0
        for name in ("fetch", "execute", "executemany"):
            self._wrap(monkeypatch, name, getattr(asyncpg.Connection, name))

    def _wrap(self, monkeypatch: pytest.MonkeyPatch, name: str, original) -> None:
        async def run(connection, query: str, *arguments: object, **options: object) -> object:
            if "ROLLBACK" not in query:
                self.seen += 1
                if self.seen == self.fails_at:
                    raise asyncpg.SerializationError("could not serialize access")
            return await original(connection, query, *arguments, **options)

        monkeypatch.setattr(asyncpg.Connection, name, run)

    def arm(self, statement: int) -> None:
        self.seen = 0
        self.fails_at = statement


def test_a_conflict_on_any_statement_changes_only_the_time(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = postgres.create_ledger()
    conflicts = Conflicts(monkeypatch)

    async def scenario() -> int:
        store = PostgresStore(dsn)
        statement = 0
        while True:
            env_id = EnvId(f"e{statement}")
            conflicts.arm(statement)
            await prepare(store, env_id)
            check_answers(await hot_life(store, env_id), f"statement {statement}")
            statement += 1
            if conflicts.seen < statement - 1:
                break
        await store.close("worker")
        return statement

    environments = asyncio.run(scenario())
    assert environments > 40, "every statement had its turn"
    check_ledger(dsn, environments)


@pytest.mark.parametrize("lost", [True, False], ids=["request-lost", "answer-lost"])
def test_a_connection_cut_at_any_message_changes_only_the_time(
    postgres: PostgresServer, *, lost: bool
) -> None:
    dsn = postgres.create_ledger()

    async def scenario() -> int:
        direct = PostgresStore(dsn)
        async with cutting_proxy(dsn) as proxy:
            store = PostgresStore(proxy.dsn)
            message = 0
            while True:
                env_id = EnvId(f"e{message}")
                await prepare(direct, env_id)
                proxy.cut(message, lost=lost)
                check_answers(await _life_with_repeats(store, env_id), f"message {message}")
                message += 1
                if proxy.messages < message - 1:
                    break
            await store.close("worker")
        await direct.close("direct")
        return message

    environments = asyncio.run(scenario())
    assert environments > 20, "every message had its turn"
    check_ledger(dsn, environments)


async def _life_with_repeats(store: PostgresStore, env_id: EnvId) -> list[object]:
    try:
        return await hot_life(store, env_id)
    except OutcomeUnknownError:
        pytest.fail("the hot path finds out by itself")


def test_a_change_whose_commit_is_in_doubt_can_be_repeated(postgres: PostgresServer) -> None:
    dsn = postgres.create_ledger()

    async def scenario() -> int:
        doubts = 0
        async with cutting_proxy(dsn) as proxy:
            store = PostgresStore(proxy.dsn)
            await store.create_environment(EnvId("e"), "Acme", Millis(0))
            for message in range(1, 12):
                change = grant(f"p{message}", 100, env_id=EnvId("e"))
                proxy.cut(message, lost=False)
                try:
                    assert await store.grant(change)
                except OutcomeUnknownError:
                    doubts += 1
                    assert not await store.grant(change)
            assert len(await store.packs(EnvId("e"))) == 11
            await store.close("worker")
        return doubts

    assert asyncio.run(scenario()) == 1
    assert audited(dsn).differences == []


@pytest.mark.slow
def test_a_killed_server_loses_nothing_that_was_told() -> None:
    try:
        with postgres_running(*FAST) as server:
            dsn = server.create_ledger()
            told = asyncio.run(_serve_through_kills(server, dsn))
            report = audited(dsn)
    except NoServerError as error:
        pytest.skip(f"PostgreSQL is left out: {error}")
    assert report.differences == []
    assert report.open_holds == []
    assert report.exchanges == told
    assert report.environments["e"].spent == 30 * told


async def _serve_through_kills(server: PostgresServer, dsn: str) -> int:
    stores = [PostgresStore(dsn) for _ in range(3)]
    await stores[0].create_environment(EnvId("e"), "Acme", Millis(0))
    await stores[0].grant(grant("p1", 10**9, env_id=EnvId("e")))
    stopping = False

    async def client(number: int) -> int:
        store, told = stores[number % 3], 0
        while not stopping:
            name = f"r{number}-{told}"
            hold = await store.admit(admission(name, need(), env_id=EnvId("e"), now=told))
            assert isinstance(hold, Hold)
            assert await store.settle(settlement(name, 30, env_id=EnvId("e"))) == Settled(30, 0)
            told += 1
        return told

    clients = [asyncio.ensure_future(client(number)) for number in range(24)]
    for _ in range(2):
        await asyncio.sleep(0.5)
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
    await asyncio.sleep(0.3)
    stopping = True
    told = sum(await asyncio.gather(*clients))
    for store in stores:
        await store.close("worker-1")
    return told
