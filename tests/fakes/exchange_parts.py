"""Everything around an exchange, scripted: model servers, clients, a clock; and a real ledger.

`play` runs a scenario in a `World` and checks at its end what must be true after any scenario: no
hold is left, the audit finds nothing, every answer of an upstream was read to its end or aborted,
no task and no unretrieved exception stays behind.
"""

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from tollbridge.access.keys import hash_key
from tollbridge.app.directory import Directory
from tollbridge.app.exchange import Exchange, Inbound
from tollbridge.app.gateway import Gateway, Price
from tollbridge.app.ports import (
    Call,
    Client,
    Grant,
    KeyInfo,
    StoreUnavailableError,
    UpstreamError,
)
from tollbridge.app.pulse import Pulse
from tollbridge.app.settlement import Settler
from tollbridge.config import Config, parse_config
from tollbridge.errors import GatewayError
from tollbridge.ledger import pricing
from tollbridge.ledger.audit import AuditReport, audit
from tollbridge.ledger.model import Pack, Settlement
from tollbridge.routing.catalog import Catalog
from tollbridge.storage.sqlite import SqliteStore, audit_rows
from tollbridge.units import MICRO, EnvId, KeyId, MicroCredits, Millis, PackId, RequestId

ENV = EnvId("acme")
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
[models.m]
targets = [{upstream = "one"}, {upstream = "two"}]
[models.single]
targets = [{upstream = "one"}]
[models.c]
targets = [{upstream = "talk"}]
[models.off]
targets = [{upstream = "one"}]
"""
PATIENCE_S = 20
HANG = "hang"
"""A step at which nothing comes until the answer is aborted."""

Step = bytes | str | Exception | Callable[[], object]
JSON_HEAD = {"content-type": "application/json"}
STREAM_HEAD = {"content-type": "text/event-stream"}


class ScriptedReply:
    """An upstream's answer that follows a script; callables are called on the way."""

    def __init__(
        self, steps: Sequence[Step], status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        self.status = status
        self.headers = STREAM_HEAD if headers is None else headers
        self.aborted = False
        self.ended = False
        self._steps = list(steps)
        self._abort = asyncio.Event()

    async def read(self) -> bytes:
        while True:
            await asyncio.sleep(0)
            if self.aborted:
                raise UpstreamError("aborted", sent=True)
            if not self._steps:
                self.ended = True
                return b""
            step = self._steps.pop(0)
            if isinstance(step, bytes):
                return step
            if isinstance(step, Exception):
                self.ended = True
                raise step
            if isinstance(step, str):
                await self._abort.wait()
                raise UpstreamError("aborted", sent=True)
            step()

    def abort(self) -> None:
        if not self.ended:
            self.aborted = True
            self._abort.set()


class ScriptedServer:
    """Answers with what `answers` says, in order: a reply, an error, or `HANG`."""

    def __init__(self) -> None:
        self.answers: list[ScriptedReply | Exception | str] = []
        self.calls: list[Call] = []
        self.replies: list[ScriptedReply] = []
        self.closed = False

    async def send(self, call: Call) -> ScriptedReply:
        self.calls.append(call)
        await asyncio.sleep(0)
        answer = self.answers.pop(0)
        if isinstance(answer, str):
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, ScriptedReply)
        self.replies.append(answer)
        return answer

    async def close(self) -> None:
        self.closed = True


class RecordingClient:
    """Notes what it is told. `open` is cleared to make it slow; `leave` makes it go away."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.parts: list[bytes] = []
        self.finished = False
        self.writing = False
        self.open = asyncio.Event()
        self.open.set()
        self.on_write: Callable[[bytes], None] = lambda _: None
        self._on_gone: Callable[[], None] | None = None

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)

    async def start(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        assert self.status is None, "a head is sent once"
        self.status = status
        self.headers = dict(headers)

    async def write(self, data: bytes) -> None:
        assert self.status is not None, "the head comes first"
        assert not self.finished, "nothing follows the end"
        assert not self.writing, "writes do not overlap"
        self.writing = True
        try:
            await asyncio.sleep(0)
            await self.open.wait()
        finally:
            self.writing = False
        self.parts.append(data)
        self.on_write(data)

    async def finish(self, data: bytes = b"") -> None:
        assert self.status is not None
        assert not self.finished
        self.finished = True
        self.parts.append(data)

    def watch(self, on_gone: Callable[[], None]) -> None:
        self._on_gone = on_gone

    def unwatch(self) -> None:
        self._on_gone = None

    def leave(self) -> None:
        if self._on_gone is not None:
            on_gone, self._on_gone = self._on_gone, None
            on_gone()


class RecordingObserver:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.ended: list[tuple[Settlement, int, str | None]] = []
        self.refused: list[GatewayError] = []
        self.troubles: list[tuple[str, BaseException]] = []

    def exchange_ended(self, settlement: Settlement, status: int, error: str | None) -> None:
        self.ended.append((settlement, status, error))

    def request_refused(self, request_id: str, protocol: str, error: GatewayError) -> None:
        self.refused.append(error)

    def trouble(self, what: str, error: BaseException) -> None:
        self.troubles.append((what, error))


class FlakyStore(SqliteStore):
    """A real store that can be away: every method says so while `away` is set."""

    away = False

    async def find_key(self, key_hash):
        self._check()
        return await super().find_key(key_hash)

    async def generation(self, env_id):
        self._check()
        return await super().generation(env_id)

    async def admit(self, admission):
        self._check()
        return await super().admit(admission)

    async def settle(self, settlement):
        self._check()
        return await super().settle(settlement)

    async def checkpoint(self, worker_id, checkpoints, now):
        self._check()
        await super().checkpoint(worker_id, checkpoints, now)

    async def sweep(self, now):
        self._check()
        return await super().sweep(now)

    def _check(self) -> None:
        if self.away:
            raise StoreUnavailableError("the cable is out")


class World:
    """One environment with one key, switches and packs, and a worker to serve it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ledger.db"
        self.config: Config = parse_config(CONFIG, {})
        self.now = Millis(1_700_000_000_000)
        self.store = FlakyStore(self.path)
        self.observer = RecordingObserver()
        self.settler = Settler(self.store, self.observer)
        self.pulse = Pulse(self.store, self.settler, self.observer, "worker-1", lambda: self.now)
        self.servers = {name: ScriptedServer() for name in ("one", "two", "talk")}
        self.exchanges: list[Exchange] = []
        prices = {}
        for name, model in self.config.models.items():
            weights = pricing.weights(model.price)
            prices[name] = Price(weights, pricing.version(weights))
        self.gateway = Gateway(
            config=self.config,
            catalog=Catalog.of(self.config),
            prices=prices,
            directory=Directory(self.store),
            store=self.store,
            servers=self.servers,
            observer=self.observer,
            pulse=self.pulse,
            settler=self.settler,
            clock=lambda: self.now,
            entropy=bytes,
        )
        self._asked = 0

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


def messages_body(model: str = "m", *, stream: bool = True, **members: object) -> bytes:
    body = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]}
    return json.dumps({**body, "stream": stream, **members}).encode()


def chat_body(model: str = "c", *, stream: bool = True, **members: object) -> bytes:
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
    return json.dumps({**body, **members}).encode()


def event(kind: str, **members: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **members})}\n\n".encode()


def message_start(model: str = "m", usage: Mapping[str, int] | None = None) -> bytes:
    told = {"input_tokens": 25, "output_tokens": 1} if usage is None else usage
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": model}
    return event("message_start", message={**message, "content": [], "usage": told}) + event(
        "content_block_start", index=0, content_block={"type": "text", "text": ""}
    )


def text_delta(text: str) -> bytes:
    return event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


def message_end(output: int | None = 7) -> bytes:
    usage = {} if output is None else {"usage": {"output_tokens": output}}
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    return (
        event("content_block_stop", index=0)
        + event("message_delta", delta=delta, **usage)
        + event("message_stop")
    )


def message(usage: Mapping[str, int] | None = None, text: str = "Hello there") -> bytes:
    told = {"input_tokens": 25, "output_tokens": 7} if usage is None else usage
    answer = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m"}
    content = [{"type": "text", "text": text}]
    return json.dumps({**answer, "content": content, "usage": told or None}).encode()


def chunk(text: str | None = None, finish: str | None = None, **members: object) -> bytes:
    delta = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "c"}
    return f"data: {json.dumps({**head, 'choices': [choice], **members})}\n\n".encode()
