"""A worker with a real ledger and scripted neighbours, and what must be true after any scenario.

`in_world` makes a scenario a test. At its end no hold is left, the audit finds nothing, every answer
of an upstream was read to its end or aborted, no task and no unretrieved exception stays behind.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.fakes.bodies import message_end, message_start, text_delta
from tests.fakes.exchange_parts import (
    JSON_HEAD,
    FlakyStore,
    MemorySpool,
    RecordingClient,
    RecordingObserver,
    ScriptedReply,
    ScriptedServer,
)

from tollbridge.access.keys import hash_key
from tollbridge.app.attempts import Routing
from tollbridge.app.directory import Directory
from tollbridge.app.exchange import Exchange
from tollbridge.app.gateway import Gateway
from tollbridge.app.group_directory import Groups
from tollbridge.app.ports import (
    Client,
    Grant,
    Inbound,
    KeyInfo,
)
from tollbridge.app.pulse import Pulse
from tollbridge.app.settlement import Settler
from tollbridge.app.vault import MemoryVault
from tollbridge.config import Config, parse_config
from tollbridge.errors import GatewayError
from tollbridge.ledger.audit import AuditReport, audit
from tollbridge.ledger.model import Pack
from tollbridge.ledger.pricing import price_book
from tollbridge.routing.catalog import Catalog
from tollbridge.routing.group import Group
from tollbridge.storage.sqlite import audit_rows
from tollbridge.units import MICRO, EnvId, KeyId, MicroCredits, Millis, PackId, RequestId

ENV = EnvId("acme")
SEAL_KEY = b"seal it with thirty-two bytes of it"
KEY = "tb_the-first-key"
CONFIG = """
[upstreams.one]
base_url = "http://one.test"
protocol = "messages"
[upstreams.two]
base_url = "http://two.test"
protocol = "messages"
[upstreams.talk]
base_url = "http://talk.test"
protocol = "chat"
[upstreams.claude]
base_url = "http://claude.test"
protocol = "messages"
dialect = "anthropic"
[upstreams.local]
base_url = "http://local.test"
protocol = "chat"
dialect = "llama.cpp"
[upstreams.picky]
base_url = "http://picky.test"
protocol = "chat"
dialect = "openai"
[upstreams.narrow]
base_url = "http://narrow.test"
protocol = "messages"
concurrency_max = 1
queue_max = 1
[models.m]
targets = [{upstream = "one"}, {upstream = "two"}]
[models.shared]
targets = [{upstream = "one", weight = 1}, {upstream = "two", weight = 1}, {upstream = "claude"}]
[models.narrow]
targets = [{upstream = "narrow"}]
[models.last]
targets = [{upstream = "one"}, {upstream = "narrow"}]
[models.spare]
targets = [{upstream = "narrow"}, {upstream = "two"}]
[models.single]
targets = [{upstream = "one"}]
[models.hedged]
targets = [{upstream = "one"}, {upstream = "narrow"}, {upstream = "talk"}]
hedge_ms = 1
[models.c]
targets = [{upstream = "talk"}]
[models.off]
targets = [{upstream = "one"}]
[models.kept]
targets = [{upstream = "claude"}]
[models.local]
targets = [{upstream = "local"}]
[models.picky]
targets = [{upstream = "picky"}]
system_messages = "merge"
"""
PATIENCE_S = 20


class World:
    """One environment with one key, switches and packs, and a worker to serve it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ledger.db"
        self.config: Config = parse_config(CONFIG, {})
        self.now = Millis(1_700_000_000_000)
        self.store = FlakyStore(self.path)
        self.observer = RecordingObserver()
        self.settler = Settler(self.store, self.observer, MemorySpool())
        self.pulse = Pulse(self.store, self.settler, self.observer, "worker-1", lambda: self.now)
        self.servers = {name: ScriptedServer() for name in self.config.upstreams}
        self.exchanges: list[Exchange] = []
        self.gateway = Gateway(
            config=self.config,
            catalog=Catalog.of(self.config),
            prices={name: price_book(m.price) for name, m in self.config.models.items()},
            directory=Directory(self.store),
            groups=Groups(self.store, self.open_group),
            store=self.store,
            servers=self.servers,
            observer=self.observer,
            vault=MemoryVault(),
            pulse=self.pulse,
            settler=self.settler,
            clock=lambda: self.now,
            entropy=bytes,
            seal_key=SEAL_KEY,
            routing=Routing.of(self.config),
        )
        self._asked = 0

    def open_group(self, group: Group) -> ScriptedServer:
        """What speaks to an environment's own upstream: scripted under its name."""
        return self.servers.setdefault(group.upstream, ScriptedServer())

    async def found(self, credits_: int = 1_000_000) -> None:
        """The environment, its key, its switches, and one pack of so many credits."""
        await self.store.create_environment(ENV, "Acme", self.now)
        await self.add_key(KEY, "key_1")
        await self.store.switch(ENV, ["m", "single", "c"], on=True)
        if credits_:
            await self.grant(credits_)
        await self.store.checkpoint("worker-1", (), self.now)

    async def add_key(
        self, key: str, key_id: str, env_id: EnvId = ENV, expires_at: int | None = None
    ) -> None:
        info = KeyInfo(
            key_id=KeyId(key_id),
            env_id=env_id,
            name=key_id,
            hint=key[-4:],
            created_at=self.now,
            expires_at=None if expires_at is None else Millis(expires_at),
            revoked_at=None,
        )
        await self.store.add_key(info, hash_key(key))

    async def grant(self, credits_: int, pack_id: str = "trial") -> None:
        await self.store.grant(
            Grant(
                env_id=ENV,
                pack_id=PackId(pack_id),
                amount=MicroCredits(credits_ * MICRO),
                expires_at=None,
                models=(),
                now=self.now,
            )
        )

    def inbound(self, sent: bytes, protocol: str = "messages", **changes: object) -> Inbound:
        self._asked += 1

        async def read() -> bytes:
            return sent

        fields = {
            "request_id": RequestId(f"req_{self._asked}"),
            "protocol": protocol,
            "group": "cloudbase",
            "env_id": None,
            "presented_key": lambda: KEY,
            "headers": {},
            "body": read,
        }
        return Inbound(**(fields | changes))

    def open(self, client: Client, sent: bytes, protocol: str = "messages", **changes: object):
        """An exchange as a coroutine that runs it."""
        exchange = Exchange(self.gateway, self.inbound(sent, protocol, **changes), client)
        self.exchanges.append(exchange)
        return exchange.run()

    async def ask(self, sent: bytes, protocol: str = "messages", **changes: object):
        """Run one exchange; returns its client, and the error that the edge would tell."""
        client = RecordingClient()
        return client, await self.ask_with(client, sent, protocol, **changes)

    async def ask_with(
        self, client: RecordingClient, sent: bytes, protocol: str = "messages", **changes: object
    ) -> GatewayError | None:
        """The same with a client of the caller's."""
        try:
            await self.open(client, sent, protocol, **changes)
        except GatewayError as error:
            assert client.status is None, "who has sent a head tells errors inside the stream"
            return error
        return None

    async def beat(self, ticks: int = 1) -> None:
        """So many seconds pass."""
        for _ in range(ticks):
            self.now = Millis(self.now + 1_000)
            self.pulse._beat()
            await settle_down()

    async def pack(self) -> Pack:
        (pack,) = await self.store.packs(ENV)
        return pack

    def usage(self) -> list[dict[str, object]]:
        return self._rows("SELECT * FROM usage_records ORDER BY ended_at, request_id")

    def holds(self) -> list[dict[str, object]]:
        return self._rows("SELECT * FROM holds")

    def admitted(self) -> list[str]:
        """The ids of all requests for which something was held."""
        query = "SELECT DISTINCT request_id FROM journal WHERE kind = 'hold' ORDER BY request_id"
        return [str(row["request_id"]) for row in self._rows(query)]

    def audit(self) -> AuditReport:
        with audit_rows(self.path) as rows:
            return audit(rows)

    def _rows(self, query: str) -> list[dict[str, object]]:
        connection = sqlite3.connect(self.path)
        try:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(query)]
        finally:
            connection.close()


async def settle_down(turns: int = 60) -> None:
    """Let everything happen that needs no more time to pass."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def play(
    folder: Path, scenario: Callable[[World], Awaitable[None]], credits_: int = 1_000_000
) -> None:
    """Run a scenario and check what must be true after it."""
    complaints: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(str(context)))
    world = World(folder)
    await world.found(credits_)
    async with asyncio.timeout(PATIENCE_S):
        await scenario(world)
    await settle_down()
    assert not world.holds(), "every hold ends"
    report = world.audit()
    assert report.differences == []
    assert report.open_holds == []
    assert not world.pulse.live
    for server in world.servers.values():
        assert all(reply.ended or reply.aborted for reply in server.replies)
    await world.pulse.stop()
    await world.store.close("worker-1")
    assert asyncio.all_tasks() == {asyncio.current_task()}, "no task is left behind"
    assert complaints == []


def in_world(credits_: int = 1_000_000):
    """Make an `async def scenario(world)` a test."""

    def decorate(scenario: Callable[[World], Awaitable[None]]) -> Callable[[Path], None]:
        def test(tmp_path: Path) -> None:
            asyncio.run(play(tmp_path, scenario, credits_))

        test.__name__ = scenario.__name__
        test.__doc__ = scenario.__doc__
        return test

    return decorate


def answer(*words: str, output: int | None = 7, **start: object) -> ScriptedReply:
    deltas = [text_delta(word) for word in words]
    return ScriptedReply([message_start(**start), *deltas, message_end(output)])


def refusal(status: int, body: bytes, **headers: str) -> ScriptedReply:
    return ScriptedReply([body], status, {**JSON_HEAD, **headers})


async def charged(world: World) -> tuple[str, str, int]:
    """Outcome, provenance and whole credits of the only exchange; the pack must agree."""
    (row,) = world.usage()
    (ended,) = world.observer.ended
    assert (ended[0].outcome, ended[0].amount) == (row["outcome"], row["amount"])
    assert (await world.pack()).spent == row["amount"]
    return row["outcome"], row["provenance"], row["amount"] // MICRO
