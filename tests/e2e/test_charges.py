"""What an exchange costs, seen from outside: the balance goes down by exactly the price."""

import socket
import time
from urllib.parse import urlsplit

import pytest
from tests.e2e.conftest import Bridge
from tests.e2e.http_calls import call, prompt

from tollbridge.units import MICRO

PATIENCE_S = 10


@pytest.fixture
def tenant(bridge: Bridge, request: pytest.FixtureRequest):
    """An environment of the test's own, with a key and a pack of a thousand credits."""
    name = f"t-{abs(hash(request.node.name)) % 10**10}"
    gateway = bridge.gateway
    gateway.run("env", "create", name)
    gateway.run("pack", "grant", "1000", "--env", name)
    return name, gateway.run("key", "create", "--env", name)["key"]


def usage_of(bridge: Bridge, env: str, requests: int) -> dict:
    """The one row of usage, once it covers so many requests: settlement follows the answer."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        rows = bridge.gateway.run("usage", "--env", env)
        if sum(row["requests"] for row in rows) >= requests or time.monotonic() > deadline:
            assert len(rows) == 1, rows
            return rows[0]
        time.sleep(0.1)


@pytest.mark.parametrize("path", ["/v1/messages", "/chat/completions"])
@pytest.mark.parametrize("model", ["messages", "chat"])
@pytest.mark.parametrize("stream", [False, True])
def test_reported_usage_times_the_price(
    bridge: Bridge, tenant: tuple[str, str], path: str, model: str, stream: bool
):
    env, key = tenant
    body = prompt("@cached=10 @chunks=20 Go", model, stream=stream)
    assert call(bridge.gateway.base_url + path, body, key=key).status == 200
    row = usage_of(bridge, env, 1)
    assert (row["input"], row["cache_read"], row["output"]) == (3, 10, 20)
    # Weights are 1 for input and output, a tenth for what came from the cache.
    assert row["charged"] == (3 + 20) * MICRO + 10 * MICRO // 10


@pytest.mark.parametrize("status", [400, 401, 500, 529])
def test_an_upstream_that_refuses_costs_nothing(
    bridge: Bridge, tenant: tuple[str, str], status: int
):
    env, key = tenant
    body = prompt(f"@error={status} Go", "messages")
    assert call(bridge.gateway.base_url + "/v1/messages", body, key=key).status >= 400
    rows = bridge.gateway.run("usage", "--env", env)
    assert sum(row["charged"] for row in rows) == 0


def test_a_client_that_leaves_pays_for_what_it_got(bridge: Bridge, tenant: tuple[str, str]):
    import json

    env, key = tenant
    upstream = bridge.upstreams["messages"]
    before = upstream.disconnects
    body = json.dumps(prompt("@chunks=200 @pace=0.05 Go", "messages", stream=True)).encode()
    parts = urlsplit(bridge.gateway.base_url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as stream:
        stream.sendall(
            f"POST {parts.path}/v1/messages HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {key}"
            f"\r\ncontent-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        seen = b""
        while seen.count(b"text_delta") < 5:
            seen += stream.recv(65536)
    row = usage_of(bridge, env, 1)
    assert 5 <= row["output"] < 100
    assert row["charged"] == (row["input"] + row["output"]) * MICRO
    deadline = time.monotonic() + PATIENCE_S
    while upstream.disconnects == before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert upstream.disconnects == before + 1, "the upstream was not cancelled"


def test_an_empty_pack_is_final_and_says_so(bridge: Bridge, tenant: tuple[str, str]):
    _, key = tenant
    url = bridge.gateway.base_url
    spent = call(
        f"{url}/v1/messages", {**prompt("@chunks=2000 Go", "chat"), "max_tokens": 4096}, key=key
    )
    assert spent.status == 200
    refused = call(f"{url}/v1/messages", prompt("Go", "chat"), key=key)
    assert refused.status == 429, refused.body
    assert refused.json()["code"] == "EXCEED_TOKEN_QUOTA_LIMIT"
    assert refused.headers["x-should-retry"] == "false"
    same = call(f"{url}/chat/completions", prompt("Go", "chat"), key=key)
    assert same.json()["error"]["code"] == "insufficient_quota"


def test_the_ledger_adds_up_afterwards(bridge: Bridge):
    assert bridge.gateway.run("ledger", "audit")["differences"] == []
