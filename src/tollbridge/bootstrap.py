"""The composition root: settings in, a wired gateway out. Nothing else knows all the parts."""

import contextlib
import hashlib
import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from tollbridge.access.cipher import Cipher
from tollbridge.app.alerts import Alerter, Webhook
from tollbridge.app.attempts import Routing
from tollbridge.app.directory import Directory
from tollbridge.app.gateway import Gateway
from tollbridge.app.group_directory import Groups
from tollbridge.app.ports import CountText, ModelServer, Observer, Store
from tollbridge.app.pulse import Pulse
from tollbridge.app.settlement import Settler
from tollbridge.app.vault import MemoryVault
from tollbridge.config import (
    DEMO_UPSTREAM,
    AlertsConfig,
    Config,
    ConfigError,
    ServerConfig,
    UpstreamConfig,
    parse_config,
)
from tollbridge.ledger.pricing import PriceBook, price_book
from tollbridge.routing.catalog import Catalog
from tollbridge.sources import Entropy, clock
from tollbridge.storage.database import Database
from tollbridge.storage.spool import FileSpool
from tollbridge.telemetry.logs import LogObserver
from tollbridge.telemetry.meter import Meter
from tollbridge.telemetry.observers import Observers
from tollbridge.telemetry.scoreboard import Scoreboard
from tollbridge.upstream.demo.upstream import DemoUpstream
from tollbridge.upstream.group_server import GroupServers
from tollbridge.upstream.http_client import HttpUpstream
from tollbridge.upstream.model_server import CredentialedServer
from tollbridge.upstream.tokenizer_file import read_tokenizer, tokenizer_problem

SPOOL_NAME = "spool"
FIGURES_NAME = "figures"
CONFIG_NAME = "tollbridge.toml"
SEAL_KEY_NAME = "seal.key"
SECRETS_KEY_NAME = "secrets.key"
SEAL_KEY_BYTES = 32


class Settings(NamedTuple):
    """What a worker process is started with."""

    config: Config
    data: Path
    demo_pace_ms: float


def read_config(path: Path, environ: Mapping[str, str]) -> Config:
    """The operator's file.

    Raises:
        ConfigError: it cannot be read or used.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # an editor may have put a mark first
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError("cannot be read: it is not UTF-8 text") from error
    config = _with_files(parse_config(text, environ), path.parent)
    check_upstreams(config, environ)
    return config


def check_upstreams(config: Config, environ: Mapping[str, str]) -> None:
    """Make every client once; nothing is connected.

    Raises:
        ConfigError: an address, a proxy or a certificate file cannot be used.
    """
    for name, upstream in config.upstreams.items():
        try:
            HttpUpstream.from_config(upstream, environ)
        except ValueError as error:
            raise ConfigError(f"upstreams.{name}.{error}") from None
    try:
        build_webhook(config.alerts, environ)
    except ValueError as error:
        raise ConfigError(f"alerts.webhook: {str(error).partition(': ')[2]}") from None


def _with_files(config: Config, folder: Path) -> Config:
    """With the paths of tokenizers and certificates as they are seen from here.

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
    upstreams = {
        name: msgspec.structs.replace(upstream, tls_ca=str(folder / upstream.tls_ca))
        if upstream.tls_ca
        else upstream
        for name, upstream in config.upstreams.items()
    }
    return msgspec.structs.replace(config, models=models, upstreams=upstreams)


def open_store(data: Path) -> Store:
    """The embedded database below the data folder, made if it is not there."""
    return Database(data).open()


def read_seal_key(config: Config, data: Path) -> bytes:
    """From the file of the operator, else from the data folder, where the first start leaves it."""
    if config.server.seal_key:
        return hashlib.sha256(config.server.seal_key.encode()).digest()
    return _key_file(data / SEAL_KEY_NAME)


def read_cipher(server: ServerConfig, data: Path) -> Cipher:
    """Of secrets at rest: under the operator's keys, else under a file in the data folder.

    The file still decrypts once there are others, so that a deployment can outgrow it.
    """
    path = data / SECRETS_KEY_NAME
    named = [server.secrets_key, *server.secrets_keys_old]
    keys = [key.encode() for key in named if key]
    if not server.secrets_key:
        keys.insert(0, _key_file(path))
    elif path.exists():
        keys.append(path.read_bytes())
    return Cipher(keys)


def _key_file(path: Path) -> bytes:
    """What the file holds, which is made if it is not there."""
    if not path.exists():
        # Several workers may start at once: the first link wins, and all read what it holds.
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_bytes(secrets.token_bytes(SEAL_KEY_BYTES))
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
        draft.unlink()
    return path.read_bytes()


def build_servers(
    config: Config, demo_pace_ms: float, environ: Mapping[str, str]
) -> Mapping[str, ModelServer]:
    """One model server for each upstream of the file, and the built-in one.

    `environ` may name proxies.
    """
    servers = {name: build_server(upstream, environ) for name, upstream in config.upstreams.items()}
    demo = DemoUpstream(pace_ms=demo_pace_ms)
    servers[DEMO_UPSTREAM] = CredentialedServer(demo, "messages", DEMO_UPSTREAM, "")
    return servers


def build_server(upstream: UpstreamConfig, environ: Mapping[str, str]) -> ModelServer:
    """The client for an entry of the operator's file, with its credentials."""
    client = HttpUpstream.from_config(upstream, environ)
    return CredentialedServer(client, upstream.protocol, upstream.dialect, upstream.api_key)


def build_prices(config: Config) -> Mapping[str, PriceBook]:
    """One price book for each model."""
    return {name: price_book(model.price) for name, model in config.models.items()}


def build_tokenizers(config: Config) -> Mapping[str, CountText]:
    """The models' own, where an entry names a file. Takes up to seconds."""
    return {
        name: read_tokenizer(Path(model.tokenizer))
        for name, model in config.models.items()
        if model.tokenizer
    }


def build_groups(config: Config, data: Path, store: Store, seal_key: bytes) -> Groups:
    """Environments' own upstreams. Replicas of one deployment share its seal, and so its name."""
    deployment = "tollbridge-" + hashlib.sha256(b"name" + seal_key).hexdigest()[:12]
    servers = GroupServers(config.groups, read_cipher(config.server, data), deployment)
    return Groups(store, servers, deployment)


def build_webhook(config: AlertsConfig, environ: Mapping[str, str]) -> Webhook | None:
    """Where alerts go, if the file says so."""
    if not config.webhook:
        return None
    scheme, rest = config.webhook.split("://", 1)
    host, slash, path = rest.partition("/")
    upstream = UpstreamConfig(
        base_url=f"{scheme}://{host}", protocol="chat", first_byte_timeout_s=10.0
    )
    secret = config.secret.encode()
    return Webhook(HttpUpstream.from_config(upstream, environ), slash + path or "/", secret)


def build_gateway(settings: Settings) -> Gateway:
    """Everything that one worker needs; starts nothing."""
    config = settings.config
    store = Database(settings.data, config.storage.url).open(config.alerts.levels)
    worker_id = f"{os.getpid()}-{secrets.token_hex(8)}"
    observer: Observer = LogObserver(sys.stderr, clock)
    scoreboard: Scoreboard | None = None
    if config.server.metrics_key:
        meter = Meter(config.models.keys(), config.upstreams.keys() | {DEMO_UPSTREAM})
        folder = settings.data / FIGURES_NAME
        scoreboard = Scoreboard(folder, worker_id, meter, observer)
        scoreboard.open()
        observer = Observers(observer, meter)
    settler = Settler(store, observer, FileSpool(settings.data / SPOOL_NAME, worker_id))
    seal_key = read_seal_key(config, settings.data)
    alerter = Alerter(store, build_webhook(config.alerts, os.environ), observer, clock)
    return Gateway(
        config=config,
        catalog=Catalog.of(config),
        prices=build_prices(config),
        directory=Directory(store),
        groups=build_groups(config, settings.data, store, seal_key),
        store=store,
        servers=build_servers(config, settings.demo_pace_ms, os.environ),
        observer=observer,
        vault=MemoryVault(),
        pulse=Pulse(store, settler, observer, worker_id, clock, alerter, scoreboard),
        settler=settler,
        clock=clock,
        entropy=Entropy(),
        seal_key=seal_key,
        tokenizers=build_tokenizers(config),
        scoreboard=scoreboard,
        routing=Routing.of(config),
    )
