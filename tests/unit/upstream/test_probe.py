import asyncio
import json

import pytest
from tests.unit.upstream.loopback import Run, answering, serve

from tollbridge.app.ports import UpstreamError
from tollbridge.config import Config, check_config
from tollbridge.upstream import probe

KEYS = {
    "ANTHROPIC_API_KEY": "sk-a",
    "OPENAI_API_KEY": "sk-o",
    "DEEPSEEK_API_KEY": "sk-d",
    "HUNYUAN_API_KEY": "sk-h",
}
TAGS = json.dumps({"models": [{"name": "qwen3:8b", "size": 1}, {"name": "gpt-5.6"}]}).encode()
SERVED = json.dumps(
    {"object": "list", "data": [{"id": "org/m", "owned_by": "vllm", "max_model_len": 4096}]}
).encode()


def test_no_keys() -> None:
    assert probe.vendors({"PATH": "/bin", "OPENAI_API_KEY": " "}) == ({}, {})


def test_vendors() -> None:
    found = probe.vendors(KEYS)
    check_config(Config(upstreams=found.upstreams, models=found.models))
    assert {
        name: (entry.base_url, entry.protocol, entry.dialect, entry.api_key)
        for name, entry in found.upstreams.items()
    } == {
        "anthropic": ("https://api.anthropic.com", "messages", "anthropic", "sk-a"),
        "openai": ("https://api.openai.com/v1", "chat", "openai", "sk-o"),
        "deepseek": ("https://api.deepseek.com/v1", "chat", "deepseek", "sk-d"),
        "hunyuan": ("https://api.hunyuan.cloud.tencent.com/v1", "chat", "hunyuan", "sk-h"),
    }
    assert {name: model.targets[0].upstream for name, model in found.models.items()} == {
        "claude-sonnet-5-5": "anthropic",
        "claude-opus-4-8": "anthropic",
        "claude-haiku-4-5": "anthropic",
        "gpt-5.6": "openai",
        "gpt-5.6-mini": "openai",
        "deepseek-v4-flash": "deepseek",
        "deepseek-v4-pro": "deepseek",
        "hy3-preview": "hunyuan",
    }
    assert all(model.on_by_default for model in found.models.values())
    hy3 = found.models["hy3-preview"]
    assert (hy3.context_window, hy3.output_limit) == (256_000, 64_000)


def test_base_urls_from_the_environment() -> None:
    environ = KEYS | {
        "ANTHROPIC_BASE_URL": "https://a.example/",
        "OPENAI_BASE_URL": "https://o.example/v1",
        "DEEPSEEK_BASE_URL": "https://ignored.example",
    }
    urls = {name: entry.base_url for name, entry in probe.vendors(environ).upstreams.items()}
    assert urls["anthropic"] == "https://a.example"
    assert urls["openai"] == "https://o.example/v1"
    assert urls["deepseek"] == "https://api.deepseek.com/v1"


def test_the_gateways_own_address_is_no_upstream() -> None:
    environ = KEYS | {"ANTHROPIC_BASE_URL": "http://127.0.0.1:8787/v1/ai/cloudbase"}
    assert probe.vendors(environ).upstreams["anthropic"].base_url == "https://api.anthropic.com"


def test_ollama() -> None:
    found = probe.ollama(TAGS)
    assert found.upstreams["ollama"].base_url == "http://127.0.0.1:11434/v1"
    assert found.upstreams["ollama"].dialect == "ollama"
    assert list(found.models) == ["qwen3:8b", "gpt-5.6"]


def test_vllm_tells_its_window() -> None:
    found = probe.openai_compatible(SERVED)
    assert found.upstreams["vllm"].dialect == "vllm"
    model = found.models["org/m"]
    assert (model.context_window, model.output_limit) == (4096, 4096)


@pytest.mark.parametrize(
    ("owner", "name", "dialect"), [("sglang", "sglang", "sglang"), ("me", "local", "generic")]
)
def test_other_servers_on_the_same_port(owner: str, name: str, dialect: str) -> None:
    body = json.dumps({"data": [{"id": "m", "owned_by": owner, "max_model_len": None}]}).encode()
    found = probe.openai_compatible(body)
    assert found.upstreams[name].dialect == dialect
    assert found.models["m"].context_window == 256_000


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"models": 1, "data": 1}', b'{"models":[],"data":[]}']
)
def test_something_else_answers(body: bytes) -> None:
    assert probe.ollama(body) == ({}, {})
    assert probe.openai_compatible(body) == ({}, {})


def test_discover_prefers_vendors_and_survives_silence() -> None:
    asked = []

    async def get(url: str) -> bytes:
        asked.append(url)
        if url.endswith("/api/tags"):
            return TAGS
        await asyncio.sleep(10)
        return SERVED

    found = asyncio.run(probe.discover(KEYS, get))
    assert sorted(asked) == ["http://127.0.0.1:11434/api/tags", "http://127.0.0.1:8000/v1/models"]
    assert set(found.upstreams) == {"anthropic", "openai", "deepseek", "hunyuan", "ollama"}
    assert found.models["gpt-5.6"].targets[0].upstream == "openai"
    assert found.models["qwen3:8b"].targets[0].upstream == "ollama"


def test_discover_finds_nothing() -> None:
    async def refuse(url: str) -> bytes:
        raise UpstreamError("connection refused", sent=False)

    assert asyncio.run(probe.discover({}, refuse)) == ({}, {})


def test_http_get(run: Run) -> None:
    ok = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(TAGS) + TAGS
    missing = b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno"
    flood = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 3_000_000

    async def main():
        async with serve(answering(ok)) as port:
            assert await probe.http_get(f"http://127.0.0.1:{port}/api/tags") == TAGS
        for answer, words in ((missing, "status 404"), (flood, "too long"), (b"", "closed")):
            async with serve(answering(answer)) as port:
                with pytest.raises(UpstreamError, match=words):
                    await probe.http_get(f"http://127.0.0.1:{port}/v1/models")

    run(main())
