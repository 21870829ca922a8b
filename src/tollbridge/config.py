"""What the operator deploys: `tollbridge.toml`, validated whole.

`parse_config` turns text into a frozen `Config` or raises `ConfigError` that names the setting and
what to do. Nothing here reads a file or the environment: both are passed in. A secret is written
as `env:NAME` (taken from the environment) or in plain text, and is never part of a message.
"""

import tomllib
from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from tollbridge.config_words import explain
from tollbridge.dialect_config import DialectOverrides, SystemMessages
from tollbridge.price_config import PriceConfig, price_problems
from tollbridge.units import (
    ALERT_LEVELS_DEFAULT,
    BODY_BYTES_MAX_DEFAULT,
    DRAIN_S_DEFAULT,
    MEMORY_MIB_MAX_DEFAULT,
    QUEUE_MAX_DEFAULT,
    QUEUE_WAIT_S_DEFAULT,
    REQUESTS_MAX_DEFAULT,
)

T = TypeVar("T")

Protocol = Literal["messages", "chat"]
"""A wire protocol: Anthropic Messages or OpenAI Chat Completions."""

DIALECTS = (
    "anthropic", "openai", "deepseek", "hunyuan", "qwen", "kimi", "glm",
    "vllm", "sglang", "ollama", "llama.cpp", "openrouter", "generic",
)  # fmt: skip
DEMO_UPSTREAM = "demo"
"""The name of the built-in upstream; needs no entry in the file."""
OWN_PREFIX = "own:"
"""Begins the names of environments' own upstreams and models in the ledger's records."""


UNIX_SOCKET_BYTES_MAX = 103
"""What every system's `sockaddr_un` has room for, less the final zero."""
METRICS_KEY_CHARS_MIN = 16

_Port = Annotated[int, Meta(ge=0, le=65_535)]
_AtLeastOne = Annotated[int, Meta(ge=1)]
_NotNegative = Annotated[int, Meta(ge=0)]
_Pause = Annotated[float, Meta(ge=0, le=3_600)]
_Seconds = Annotated[float, Meta(gt=0, le=86_400)]


class ConfigError(Exception):
    """The file cannot be used; the message names the setting and the remedy."""


class ServerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where and how the gateway listens."""

    host: str = "127.0.0.1"
    port: _Port = 8787
    domain: str = ""
    """Environments are addressed as `<ENV_ID>.api.<domain>`; empty: only by their keys."""
    workers: _AtLeastOne = 1
    body_bytes_max: _AtLeastOne = BODY_BYTES_MAX_DEFAULT
    requests_max: _AtLeastOne = REQUESTS_MAX_DEFAULT
    """Exchanges under way in one worker, streams included."""
    queue_max: _NotNegative = QUEUE_MAX_DEFAULT
    """Requests that may wait for one of them to end; the next ones are refused at once."""
    queue_wait_s: _Seconds = QUEUE_WAIT_S_DEFAULT
    memory_mib_max: _NotNegative = MEMORY_MIB_MAX_DEFAULT
    """Memory of one worker above which it takes on no more; 0: no ceiling."""
    unready_s: _Pause = 0.0
    """How long a gateway that was told to stop still serves, while `/readyz` says that it will."""
    drain_s: _Pause = DRAIN_S_DEFAULT
    """How long it then waits for the exchanges under way before it ends them."""
    seal_key: str = ""
    """Authenticates what clients keep for an upstream between turns; every replica needs the same.
    Empty: a file in the data folder, made at the first start."""
    metrics_key: str = ""
    """What `GET /metrics` has to present as bearer; empty: there is no such page."""
    secrets_key: str = ""
    """Encrypts the API keys of environments' own upstreams in the database; as `seal_key`."""
    secrets_keys_old: tuple[str, ...] = ()
    """Earlier ones, which still decrypt."""

    def __repr__(self) -> str:
        return f"ServerConfig(host={self.host!r}, port={self.port!r}, ...)"


class StorageConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where environments, keys and the ledger are."""

    url: str = ""
    """A `postgresql://` address, which may name several hosts; empty: a file in the data folder."""

    def __repr__(self) -> str:
        return "StorageConfig(...)"


class UpstreamConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A server that runs models."""

    base_url: str
    """Scheme, host and path prefix: `/v1/messages` or `/chat/completions` is appended as told by
    the protocol. A Chat base ends where the OpenAI SDK's `base_url` would end (with `/v1`)."""
    protocol: Protocol
    dialect: str = "generic"
    dialect_overrides: DialectOverrides | None = None
    api_key: str = ""
    connect_timeout_s: _Seconds = 5.0
    first_byte_timeout_s: _Seconds = 120.0
    idle_timeout_s: _Seconds = 300.0
    total_timeout_s: _Seconds | None = None
    """None: an exchange may last as long as it goes on."""
    connections_max: _AtLeastOne = 512
    proxy: str = ""
    """A URL, which may hold a password, or `none`. Empty: what the environment says."""
    unix_socket: str = ""
    """A path: connections go there, and `base_url` only says what requests look like."""
    tls_ca: str = ""
    """A file of PEM certificates, relative to this file, that are trusted instead of the
    system's."""
    tls_verify: bool = True
    concurrency_max: _AtLeastOne | None = None
    """Requests under way at once, for each worker; None: as many as there are connections."""
    queue_max: Annotated[int, Meta(ge=0)] = 64
    """Requests that may wait for one of those places; the next ones go elsewhere at once."""
    queue_wait_s: _Seconds = 1.0
    """How long one waits before it goes elsewhere."""

    def __repr__(self) -> str:
        return f"UpstreamConfig(base_url={self.base_url!r}, protocol={self.protocol!r}, ...)"


class TargetConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One upstream that serves a model, and the model's name there."""

    upstream: str
    model: str = ""
    """Empty: the same name."""
    priority: Annotated[int, Meta(ge=0, le=1_000)] = 0
    """Lower ones are tried first; equal ones in the order of the file."""
    weight: Annotated[float, Meta(gt=0, le=1_000)] | None = None
    """Neighbours that have one share the requests in this proportion; None: stands alone."""


class ModelConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a client may name."""

    targets: tuple[TargetConfig, ...]
    display_name: str = ""
    context_window: _AtLeastOne = 256_000
    output_limit: _AtLeastOne = 32_000
    price: PriceConfig = PriceConfig()
    system_messages: SystemMessages | None = None
    """None: as the dialect of the upstream has it."""
    tokenizer: str = ""
    """A `tokenizer.json`, relative to this file: counts prompts where the upstream does not."""
    affinity: bool = True
    """Whether the requests of a session go to the same one of several weighted targets."""
    hedge_ms: Annotated[int, Meta(ge=1, le=600_000)] | None = None
    """After so long without the head of an answer a second target is asked, too; None: never."""
    on_by_default: bool = False
    """Whether a new environment starts with this model switched on."""


class AlertsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When and where to tell that a pack runs out."""

    levels: tuple[int, ...] = ALERT_LEVELS_DEFAULT
    """Percent of a pack that are spent."""
    webhook: str = ""
    """A URL that is called with POST; empty: only the log tells."""
    secret: str = ""
    """Signs the calls, so that the receiver knows who called."""

    def __repr__(self) -> str:
        return f"AlertsConfig(levels={self.levels!r}, ...)"


class GroupsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the upstreams of environments may be: their addresses are chosen by tenants."""

    allow_http: bool = False
    """Whether their keys and prompts may go out unencrypted."""
    allow_private: bool = False
    """Whether they may be on this machine and in the networks around it."""
    connections_max: _AtLeastOne = 64
    """To each of them, for each worker."""


class _StorageOnly(msgspec.Struct, frozen=True):
    storage: StorageConfig = StorageConfig()


class _GroupsOnly(msgspec.Struct, frozen=True):
    server: ServerConfig = ServerConfig()
    groups: GroupsConfig = GroupsConfig()


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    server: ServerConfig = ServerConfig()
    storage: StorageConfig = StorageConfig()
    alerts: AlertsConfig = AlertsConfig()
    groups: GroupsConfig = GroupsConfig()
    upstreams: dict[str, UpstreamConfig] = {}
    models: dict[str, ModelConfig] = {}


def parse_config(text: str, environ: Mapping[str, str]) -> Config:
    """Validate the text of a `tollbridge.toml` whole.

    Raises:
        ConfigError: for bad syntax, an unknown setting, a wrong type, a target that names no
            upstream, an unknown dialect or a missing environment variable.
    """
    config = _decode(text, Config)
    upstreams = {
        name: msgspec.structs.replace(
            upstream,
            api_key=_secret(upstream.api_key, f"upstreams.{name}.api_key", environ),
            proxy=_secret(upstream.proxy, f"upstreams.{name}.proxy", environ),
        )
        for name, upstream in config.upstreams.items()
    }
    seal_key = _secret(config.server.seal_key, "server.seal_key", environ)
    metrics_key = _secret(config.server.metrics_key, "server.metrics_key", environ)
    server = _with_secrets(config.server, environ)
    server = msgspec.structs.replace(server, seal_key=seal_key, metrics_key=metrics_key)
    alerts = msgspec.structs.replace(
        config.alerts,
        webhook=_secret(config.alerts.webhook, "alerts.webhook", environ),
        secret=_secret(config.alerts.secret, "alerts.secret", environ),
    )
    storage = StorageConfig(url=_secret(config.storage.url, "storage.url", environ))
    config = msgspec.structs.replace(
        config, upstreams=upstreams, server=server, storage=storage, alerts=alerts
    )
    check_config(config)
    return config


def parse_storage(text: str, environ: Mapping[str, str]) -> StorageConfig:
    """Only the table `storage`, for commands that need no other secret of the file.

    Raises:
        ConfigError: for bad syntax, a bad address or a missing environment variable.
    """
    storage = _decode(text, _StorageOnly).storage
    storage = StorageConfig(url=_secret(storage.url, "storage.url", environ))
    _check_storage(storage)
    return storage


def parse_groups(text: str, environ: Mapping[str, str]) -> tuple[ServerConfig, GroupsConfig]:
    """Only what the commands for groups need, for they need no other secret of the file.

    Raises:
        ConfigError: for bad syntax or a missing environment variable.
    """
    found = _decode(text, _GroupsOnly)
    return _with_secrets(found.server, environ), found.groups


def _decode(text: str, kind: type[T]) -> T:
    try:
        tables = tomllib.loads(text)
    except RecursionError as error:
        raise ConfigError("its lists or tables are nested too deeply") from error
    except ValueError as error:
        raise ConfigError(str(error)) from error
    try:
        return msgspec.convert(tables, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(explain(str(error), tables, kind)) from error


def _with_secrets(server: ServerConfig, environ: Mapping[str, str]) -> ServerConfig:
    """With the keys that encrypt secrets in place of where they are found."""
    old = enumerate(server.secrets_keys_old)
    return msgspec.structs.replace(
        server,
        secrets_key=_secret(server.secrets_key, "server.secrets_key", environ),
        secrets_keys_old=tuple(
            _secret(key, f"server.secrets_keys_old[{index}]", environ) for index, key in old
        ),
    )


def check_config(config: Config) -> None:
    """Check what the types cannot say.

    Raises:
        ConfigError: with the path of the setting and the remedy.
    """
    if 0 < len(config.server.metrics_key) < METRICS_KEY_CHARS_MIN:
        raise ConfigError(f"server.metrics_key: at least {METRICS_KEY_CHARS_MIN} characters")
    if any(sign in config.server.domain for sign in "/: "):
        raise ConfigError("server.domain: a name alone, such as example.com")
    _check_storage(config.storage)
    _check_alerts(config.alerts)
    for name, upstream in config.upstreams.items():
        _check_name(name, f"upstreams.{name}")
        if name == DEMO_UPSTREAM:
            raise ConfigError(
                f"upstreams.{name}: this name is the built-in model's; choose another"
            )
        _check_upstream(upstream, f"upstreams.{name}")
    for name, model in config.models.items():
        where = f'models."{name}"'
        _check_name(name, where)
        if not model.targets:
            raise ConfigError(f"{where}.targets: name at least one upstream")
        if model.hedge_ms is not None and len(model.targets) == 1:
            raise ConfigError(f"{where}.hedge_ms: needs a second target, or leave it out")
        for index, target in enumerate(model.targets):
            if target.upstream != DEMO_UPSTREAM and target.upstream not in config.upstreams:
                known = ", ".join([*config.upstreams, DEMO_UPSTREAM])
                raise ConfigError(
                    f"{where}.targets[{index}].upstream: no upstream {target.upstream!r};"
                    f" known are {known}"
                )
        for problem in price_problems(model.price):
            raise ConfigError(f"{where}.price.{problem}")


def _check_name(name: str, where: str) -> None:
    if name.startswith(OWN_PREFIX):
        raise ConfigError(
            f"{where}: {OWN_PREFIX!r} begins the names of what environments bring; choose another"
        )


def _check_upstream(upstream: UpstreamConfig, where: str) -> None:
    if not upstream.base_url.startswith(("http://", "https://")):
        raise ConfigError(f"{where}.base_url: must begin with http:// or https://")
    for route in ("/chat/completions", "/v1/messages"):
        if upstream.base_url.rstrip("/").endswith(route):
            raise ConfigError(f"{where}.base_url: leave out {route}, which is appended to it")
    if not (upstream.api_key.isascii() and upstream.api_key.isprintable()):
        raise ConfigError(
            f"{where}.api_key: must be printable ASCII; perhaps it ends in a line break"
        )
    if upstream.dialect not in DIALECTS:
        raise ConfigError(f"{where}.dialect: must be one of {', '.join(DIALECTS)}")
    if (upstream.concurrency_max or 0) > upstream.connections_max:
        raise ConfigError(
            f"{where}.concurrency_max: must be at most connections_max"
            f" ({upstream.connections_max}), since each request needs a connection"
        )
    path = upstream.unix_socket
    if path and (not path.startswith("/") or len(path.encode()) > UNIX_SOCKET_BYTES_MAX):
        raise ConfigError(
            f"{where}.unix_socket: must be an absolute path of at most"
            f" {UNIX_SOCKET_BYTES_MAX} bytes"
        )
    if path and upstream.proxy:
        raise ConfigError(f"{where}.proxy: no proxy leads to a unix_socket; leave one of them out")
    if upstream.tls_ca and not upstream.tls_verify:
        raise ConfigError(f"{where}.tls_ca: does nothing with tls_verify = false; leave one out")
    if (upstream.tls_ca or not upstream.tls_verify) and upstream.base_url.startswith("http://"):
        setting = "tls_ca" if upstream.tls_ca else "tls_verify"
        raise ConfigError(f"{where}.{setting}: base_url must begin with https:// for this")


def _check_storage(storage: StorageConfig) -> None:
    if storage.url and not storage.url.startswith(("postgresql://", "postgres://")):
        raise ConfigError("storage.url: must begin with postgresql://, or be empty")


def _check_alerts(alerts: AlertsConfig) -> None:
    if not all(1 <= level <= 100 for level in alerts.levels):
        raise ConfigError("alerts.levels: percentages between 1 and 100")
    if alerts.webhook and not alerts.webhook.startswith(("http://", "https://")):
        raise ConfigError("alerts.webhook: must begin with http:// or https://")
    if alerts.webhook and not alerts.secret:
        raise ConfigError("alerts.secret: set one, for instance env:ALERT_SECRET; it signs calls")


def _secret(value: str, where: str, environ: Mapping[str, str]) -> str:
    if not value.startswith("env:"):
        return value
    name = value.removeprefix("env:")
    if not environ.get(name):
        raise ConfigError(f"{where}: the environment variable {name} is not set")
    return environ[name]
