"""What a first start finds: vendors' keys in the environment, model servers on this machine.

`vendors`, `ollama` and `openai_compatible` are pure; `discover` adds two requests to them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

import msgspec

from tollbridge.app.ports import UpstreamError, UpstreamRequest
from tollbridge.config import ModelConfig, Protocol, TargetConfig, UpstreamConfig
from tollbridge.units import MIB
from tollbridge.upstream.http_client import HttpUpstream

PROBE_TIMEOUT_S = 0.15
"""For both local servers together, which are asked at the same time: a start must not feel it."""

OLLAMA_URL = "http://127.0.0.1:11434"
VLLM_URL = "http://127.0.0.1:8000"

_LISTING_BYTES_MAX = MIB

HttpGet = Callable[[str], Awaitable[bytes]]
"""The body of a 200 answer to a GET of this URL. Raises `UpstreamError` for everything else."""


GATEWAY_PATH = "/v1/ai/"
"""What the base URLs have that this gateway gives to its clients."""


class Discovery(NamedTuple):
    """Entries for a `Config`, by name. Models name only upstreams that are here."""

    upstreams: dict[str, UpstreamConfig]
    models: dict[str, ModelConfig]


class Offer(NamedTuple):
    """A model that a vendor is known to serve: id, window and longest output in tokens."""

    model: str
    context_window: int = 256_000
    output_limit: int = 32_000


class Vendor(NamedTuple):
    """A vendor whose key people have in their environment."""

    name: str
    key_variable: str
    base_url_variable: str
    """Empty: the vendor's SDK knows no such variable."""
    base_url: str
    protocol: Protocol
    dialect: str
    offers: tuple[Offer, ...]


VENDORS = (
    Vendor(
        "anthropic",
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_BASE_URL",
        "https://api.anthropic.com",
        "messages",
        "anthropic",
        (Offer("claude-sonnet-5-5"), Offer("claude-opus-4-8"), Offer("claude-haiku-4-5")),
    ),
    Vendor(
        "openai",
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "https://api.openai.com/v1",
        "chat",
        "openai",
        (Offer("gpt-5.6"), Offer("gpt-5.6-mini")),
    ),
    Vendor(
        "deepseek",
        "DEEPSEEK_API_KEY",
        "",
        "https://api.deepseek.com/v1",
        "chat",
        "deepseek",
        (Offer("deepseek-v4-flash"), Offer("deepseek-v4-pro")),
    ),
    Vendor(
        "hunyuan",
        "HUNYUAN_API_KEY",
        "",
        "https://api.hunyuan.cloud.tencent.com/v1",
        "chat",
        "hunyuan",
        (Offer("hy3-preview", 256_000, 64_000),),
    ),
)


def vendors(environ: Mapping[str, str]) -> Discovery:
    """Entries for the vendors whose keys are set. The entries hold the keys themselves."""
    found = Discovery({}, {})
    for vendor in VENDORS:
        api_key = environ.get(vendor.key_variable, "").strip()
        if not api_key:
            continue
        base_url = environ.get(vendor.base_url_variable) or vendor.base_url
        if GATEWAY_PATH in base_url:
            # A client's own settings, left in the shell: the gateway must not call itself.
            base_url = vendor.base_url
        found.upstreams[vendor.name] = UpstreamConfig(
            base_url=base_url.rstrip("/"),
            protocol=vendor.protocol,
            dialect=vendor.dialect,
            api_key=api_key,
        )
        for offer in vendor.offers:
            found.models[offer.model] = _model(vendor.name, offer)
    return found


class _OllamaModel(msgspec.Struct):
    name: str


class _OllamaTags(msgspec.Struct):
    models: list[_OllamaModel]


def ollama(body: bytes) -> Discovery:
    """Entries for what Ollama's `/api/tags` lists; empty if this is something else."""
    try:
        listing = msgspec.json.decode(body, type=_OllamaTags)
    except msgspec.DecodeError:
        return Discovery({}, {})
    return _local("ollama", OLLAMA_URL, "ollama", [Offer(model.name) for model in listing.models])


class _ServedModel(msgspec.Struct):
    id: str
    owned_by: str = ""
    max_model_len: int | None = None


class _ServedModels(msgspec.Struct):
    data: list[_ServedModel]


def openai_compatible(body: bytes) -> Discovery:
    """Entries for what `/v1/models` lists; empty if this is something else.

    vLLM and SGLang tell the window as `max_model_len` and call themselves the owner.
    """
    try:
        listing = msgspec.json.decode(body, type=_ServedModels)
    except msgspec.DecodeError:
        return Discovery({}, {})
    owners = {model.owned_by for model in listing.data}
    dialect = next((name for name in ("vllm", "sglang") if name in owners), "generic")
    offers = []
    for model in listing.data:
        offer = Offer(model.id)
        if model.max_model_len is not None and model.max_model_len > 0:
            window = model.max_model_len
            offer = Offer(model.id, window, min(window, offer.output_limit))
        offers.append(offer)
    return _local("local" if dialect == "generic" else dialect, VLLM_URL, dialect, offers)


async def discover(environ: Mapping[str, str], http_get: HttpGet) -> Discovery:
    """Everything found: vendors first, so that a local model does not take a vendor's id."""
    found = vendors(environ)
    bodies = await asyncio.gather(
        _answer(http_get, f"{OLLAMA_URL}/api/tags"), _answer(http_get, f"{VLLM_URL}/v1/models")
    )
    for local in (ollama(bodies[0]), openai_compatible(bodies[1])):
        found.upstreams.update(local.upstreams)
        for name, model in local.models.items():
            found.models.setdefault(name, model)
    return found


async def http_get(url: str) -> bytes:
    """The `HttpGet` that goes over the network."""
    upstream = HttpUpstream(url)
    try:
        reply = await upstream.send(UpstreamRequest("GET", "", (), b""))
        body = bytearray()
        while data := await reply.read():
            body += data
            if len(body) > _LISTING_BYTES_MAX:
                reply.abort()
                raise UpstreamError("the listing is too long", sent=True)
    finally:
        await upstream.close()
    if reply.status != 200:
        raise UpstreamError(f"answered with status {reply.status}", sent=True)
    return bytes(body)


async def _answer(http_get: HttpGet, url: str) -> bytes:
    """Empty: nobody is there, which is the usual case."""
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            return await http_get(url)
    except (UpstreamError, TimeoutError):
        return b""


def _local(name: str, url: str, dialect: str, offers: list[Offer]) -> Discovery:
    if not offers:
        return Discovery({}, {})
    upstream = UpstreamConfig(base_url=f"{url}/v1", protocol="chat", dialect=dialect)
    return Discovery({name: upstream}, {offer.model: _model(name, offer) for offer in offers})


def _model(upstream: str, offer: Offer) -> ModelConfig:
    return ModelConfig(
        targets=(TargetConfig(upstream=upstream),),
        context_window=offer.context_window,
        output_limit=offer.output_limit,
        on_by_default=True,
    )
