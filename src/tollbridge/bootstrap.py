"""The composition root: settings in, a wired gateway out. Nothing else knows all the parts."""

import asyncio
import contextlib
import hashlib
import os
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from tollbridge.app.alerts import Alerter, Webhook
from tollbridge.app.attempts import Routing
from tollbridge.app.directory import Directory
from tollbridge.app.gateway import Gateway
from tollbridge.app.ports import ModelServer, Store
from tollbridge.app.pulse import Pulse
from tollbridge.app.settlement import Settler
from tollbridge.app.vault import MemoryVault
from tollbridge.config import (
    DEMO_UPSTREAM,
    AlertsConfig,
    Config,
    ConfigError,
    UpstreamConfig,
    parse_config,
)
from tollbridge.ledger.pricing import price_book
from tollbridge.routing.catalog import Catalog
from tollbridge.server.asgi import Application
from tollbridge.server.inbound import Receive, Scope, Send
from tollbridge.storage.database import Database
from tollbridge.storage.spool import FileSpool
from tollbridge.telemetry.logs import LogObserver
from tollbridge.units import Millis
from tollbridge.upstream.demo.upstream import DemoUpstream
from tollbridge.upstream.http_client import HttpUpstream
from tollbridge.upstream.model_server import CredentialedServer
from tollbridge.upstream.tokenizer_file import read_tokenizer, tokenizer_problem

SPOOL_NAME = "spool"
CONFIG_NAME = "tollbridge.toml"
SEAL_KEY_NAME = "seal.key"
SEAL_KEY_BYTES = 32
READY_AFTER_S = 0.005


class Settings(NamedTuple):
    """What a worker process is started with."""

    config: Config
    data: Path
    demo_pace_ms: float


def clock() -> Millis:
    """Milliseconds since the epoch."""
    return Millis(time.time_ns() // 1_000_000)


def read_config(path: Path, environ: Mapping[str, str]) -> Config:
    """The operator's file.

    Raises:
        ConfigError: it cannot be read or used.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError("cannot be read: it is not UTF-8 text") from error
    return _with_tokenizers(parse_config(text, environ), path.parent)


def _with_tokenizers(config: Config, folder: Path) -> Config:
    """With the paths of tokenizer files as they are seen from here.

    Raises:
        ConfigError: a file is not there, or the package that reads it.
    """
    models = dict(config.models)
    for name, model in models.items():
        if model.tokenizer:
            path = folder / model.tokenizer
            if problem := tokenizer_problem(path):
                raise ConfigError(f'models."{name}".tokenizer: {problem}')
            models[name] = msgspec.structs.replace(model, tokenizer=str(path))
    return msgspec.structs.replace(config, models=models)


def open_store(data: Path) -> Store:
    """The embedded database below the data folder, made if it is not there."""
    return Database(data).open()


def read_seal_key(config: Config, data: Path) -> bytes:
    """From the file of the operator, else from the data folder, where the first start leaves it."""
    if config.server.seal_key:
        return hashlib.sha256(config.server.seal_key.encode()).digest()
    path = data / SEAL_KEY_NAME
    if not path.exists():
        # Several workers may start at once: the first link wins, and all read what it holds.
        draft = path.with_name(f"{SEAL_KEY_NAME}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_bytes(secrets.token_bytes(SEAL_KEY_BYTES))
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
        draft.unlink()
    return path.read_bytes()


def build_servers(config: Config, demo_pace_ms: float) -> Mapping[str, ModelServer]:
    """One model server for each upstream of the file, and the built-in one."""
    servers: dict[str, ModelServer] = {
        name: CredentialedServer(
            HttpUpstream.from_config(upstream),
            upstream.protocol,
            upstream.dialect,
            upstream.api_key,
        )
        for name, upstream in config.upstreams.items()
    }
    demo = DemoUpstream(pace_ms=demo_pace_ms)
    servers[DEMO_UPSTREAM] = CredentialedServer(demo, "messages", DEMO_UPSTREAM, "")
    return servers


def build_webhook(config: AlertsConfig) -> Webhook | None:
    """Where alerts go, if the file says so."""
    if not config.webhook:
        return None
    scheme, rest = config.webhook.split("://", 1)
    host, slash, path = rest.partition("/")
    upstream = UpstreamConfig(
        base_url=f"{scheme}://{host}", protocol="chat", first_byte_timeout_s=10.0
    )
    secret = config.secret.encode()
    return Webhook(HttpUpstream.from_config(upstream), slash + path or "/", secret)


def build_gateway(settings: Settings) -> Gateway:
    """Everything that one worker needs; starts nothing."""
    config = settings.config
    store = Database(settings.data, config.storage.url).open(config.alerts.levels)
    observer = LogObserver(sys.stderr, clock)
    worker_id = f"{os.getpid()}-{secrets.token_hex(8)}"
    settler = Settler(store, observer, FileSpool(settings.data / SPOOL_NAME, worker_id))
    alerter = Alerter(store, build_webhook(config.alerts), observer, clock)
    return Gateway(
        config=config,
        catalog=Catalog.of(config),
        prices={name: price_book(model.price) for name, model in config.models.items()},
        directory=Directory(store),
        store=store,
        servers=build_servers(config, settings.demo_pace_ms),
        observer=observer,
        vault=MemoryVault(),
        pulse=Pulse(store, settler, observer, worker_id, clock, alerter),
        settler=settler,
        clock=clock,
        entropy=secrets.token_bytes,
        seal_key=read_seal_key(config, settings.data),
        tokenizers={
            name: read_tokenizer(Path(model.tokenizer))
            for name, model in config.models.items()
            if model.tokenizer
        },
        routing=Routing.of(config),
    )


class Worker:
    """One worker process's ASGI application: the lifespan builds it, requests use it."""

    def __init__(self, settings: Settings, ready: Callable[[], object]) -> None:
        self._settings = settings
        self._ready = ready
        self._application: Application | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI scope: the lifespan or a request."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            assert self._application is not None, "the lifespan starts first"
            await self._application(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        gateway = build_gateway(self._settings)
        books = {book.version: book.text() for book in gateway.prices.values()}
        await gateway.store.keep_prices(books, gateway.clock())
        await gateway.pulse.start()
        self._application = Application(gateway)
        await send({"type": "lifespan.startup.complete"})
        # The server listens, and hears signals, once the loop goes round again.
        await asyncio.sleep(READY_AFTER_S)
        self._ready()
        await receive()
        await gateway.pulse.drain()
        await gateway.pulse.stop()
        for server in gateway.servers.values():
            await server.close()
        await gateway.store.close(gateway.pulse.worker_id)
        await send({"type": "lifespan.shutdown.complete"})


def load_worker(settings: Settings, ready: Callable[[], object]) -> Worker:
    """What the HTTP server calls in each worker process; `ready` is called when it can answer."""
    return Worker(settings, ready)
