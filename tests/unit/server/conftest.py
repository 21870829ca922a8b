"""A whole gateway in the process: the real store in memory, the demo model, a clock of our own."""

import asyncio
import io
import json
import secrets
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.fakes.exchange_parts import MemorySpool
from tests.fakes.wire_client import Answer, call

from tollbridge.access.cipher import Cipher
from tollbridge.access.keys import hash_key, mint_key
from tollbridge.app.directory import Directory
from tollbridge.app.gateway import Gateway
from tollbridge.app.group_directory import Groups
from tollbridge.app.ports import Grant, KeyInfo
from tollbridge.app.pulse import Pulse
from tollbridge.app.settlement import Settler
from tollbridge.app.vault import MemoryVault
from tollbridge.config import Config, ModelConfig, ServerConfig, TargetConfig
from tollbridge.ledger.pricing import price_book
from tollbridge.routing.catalog import Catalog
from tollbridge.server.application import Application
from tollbridge.storage.sqlite import SqliteStore
from tollbridge.telemetry.logs import LogObserver
from tollbridge.units import MICRO, EnvId, KeyId, MicroCredits, Millis, PackId
from tollbridge.upstream.demo.upstream import DemoUpstream
from tollbridge.upstream.group_server import GroupServers
from tollbridge.upstream.model_server import CredentialedServer

START = Millis(1_800_000_000_000)
ENV, OTHER = EnvId("team-a"), EnvId("team-b")
DEMO = (TargetConfig(upstream="demo", model="demo"),)
CONFIG = Config(
    server=ServerConfig(domain="example.com", body_bytes_max=100_000),
    models={
        "demo": ModelConfig(targets=DEMO, display_name="The demo"),
        "vendor/chat 工": ModelConfig(targets=DEMO, context_window=1000, output_limit=100),
        "dark": ModelConfig(targets=DEMO),
    },
)


BASE = "/v1/ai/cloudbase"
MESSAGES, CHAT, COUNT = (
    f"{BASE}/v1/messages",
    f"{BASE}/chat/completions",
    "/v1/messages/count_tokens",
)
HELLO = [{"role": "user", "content": "Hello"}]
IDS = ("request-id", "x-request-id", "x-cloudbase-request-id")


class World:
    """The gateway, what it logs, and how to reach it."""

    def __init__(self, path: Path) -> None:
        self.now = START
        self.log = io.StringIO()
        self.store = SqliteStore(path)
        observer = LogObserver(self.log, lambda: self.now)
        settler = Settler(self.store, observer, MemorySpool())
        self.gateway = Gateway(
            config=CONFIG,
            catalog=Catalog.of(CONFIG),
            prices={name: price_book(model.price) for name, model in CONFIG.models.items()},
            directory=Directory(self.store),
            groups=Groups(self.store, GroupServers(CONFIG.groups, Cipher([b"key"]), "here")),
            store=self.store,
            servers={"demo": CredentialedServer(DemoUpstream(pace_ms=0), "messages", "demo", "")},
            observer=observer,
            vault=MemoryVault(),
            pulse=Pulse(self.store, settler, observer, "worker", lambda: self.now),
            settler=settler,
            clock=lambda: self.now,
            entropy=secrets.token_bytes,
            seal_key=bytes(32),
        )
        self.application = Application(self.gateway)
        self.key = ""

    async def fill(self) -> None:
        """An environment with a key, models and a pack, and another one beside it."""
        for env_id in (ENV, OTHER):
            await self.store.create_environment(env_id, "", self.now)
            await self.store.switch(env_id, ["demo", "vendor/chat 工"], on=True)
        await self.grant(1_000_000)
        self.key = await self.add_key(ENV)

    async def add_key(self, env_id: EnvId, expires_at: Millis | None = None) -> str:
        """A new key; its id is `key_` and its last four characters."""
        key = mint_key(secrets.token_bytes(32))
        info = KeyInfo(
            key_id=self.key_id(key),
            env_id=env_id,
            name="",
            hint=key[-4:],
            created_at=self.now,
            expires_at=expires_at,
            revoked_at=None,
        )
        await self.store.add_key(info, hash_key(key))
        return key

    @staticmethod
    def key_id(key: str) -> KeyId:
        """Under which `add_key` stored it."""
        return KeyId(f"key_{key[-8:]}")

    async def grant(self, amount: int) -> None:
        """A pack of the first environment."""
        pack = PackId(secrets.token_hex(4))
        granted = MicroCredits(amount * MICRO)
        await self.store.grant(
            Grant(
                env_id=ENV, pack_id=pack, amount=granted, expires_at=None, models=(), now=self.now
            )
        )

    async def ask(
        self,
        path: str,
        body: object = b"",
        *,
        method: str = "",
        key: str | None = None,
        **more: Any,
    ) -> Answer:
        """A request with a key; a body that is no bytes is sent as JSON."""
        raw: bytes | Iterable[bytes] = (
            body if isinstance(body, bytes | list) else msgspec.json.encode(body)
        )
        headers = dict(more.pop("headers", {}))
        presented = self.key if key is None else key
        if presented:
            headers.setdefault("authorization", f"Bearer {presented}")
        method = method or ("POST" if raw else "GET")
        return await self.call(method, path, raw, headers=headers, **more)

    async def call(
        self, method: str, path: str, body: bytes | Iterable[bytes], **more: Any
    ) -> Answer:
        """A request as it is."""
        limit = CONFIG.server.body_bytes_max
        serve = self.application.serve
        return await call(serve, method, path, body, body_bytes_max=limit, **more)

    def logged(self) -> list[dict[str, Any]]:
        """The lines of the log."""
        return [json.loads(line) for line in self.log.getvalue().splitlines()]


Scenario = Callable[[World], Awaitable[None]]
Play = Callable[[Scenario], World]


@pytest.fixture
def play(memory: Path) -> Play:
    """Runs a scenario in a fresh world."""

    def run(scenario: Scenario) -> World:
        async def whole() -> World:
            world = World(memory)
            await world.fill()
            await world.gateway.pulse.start()
            try:
                await scenario(world)
            finally:
                await world.gateway.pulse.stop()
                await world.store.close("worker")
            return world

        return asyncio.run(whole())

    return run


def prompt(**more: object) -> dict[str, object]:
    whole = {"model": "demo", "max_tokens": 50, "messages": HELLO, **more}
    return {name: value for name, value in whole.items() if value is not None}


def check_ids(answer: Answer) -> str:
    ids = {answer.headers[name] for name in IDS}
    assert len(ids) == 1
    request_id = ids.pop()
    assert request_id.startswith("req_")
    assert len(request_id) == 28
    return request_id


def check_refusal(answer: Answer, status: int, code: str, *, dialect: str) -> str:
    """Returns the message."""
    assert answer.status == status, answer.body
    request_id = check_ids(answer)
    told = answer.json()
    assert (told["code"], told["requestId"]) == (code, request_id)
    assert answer.headers["content-type"] == "application/json"
    if dialect == "messages":
        assert (told["type"], told["request_id"]) == ("error", request_id)
    else:
        assert {"message", "type", "param", "code"} == told["error"].keys()
    assert told["error"]["message"] == told["message"]
    return str(told["message"])
