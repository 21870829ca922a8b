"""An environment's own upstream, from the command line to the receipt, on two workers."""

import json
from collections.abc import Iterator
from pathlib import Path

import anthropic
import openai
import pytest
from tests.e2e.gateway import Gateway, running
from tests.e2e.http_calls import call, prompt
from tests.fakes.chat_upstream import ChatUpstream
from tests.fakes.http_server import FakeUpstream, serving_in_thread
from tests.fakes.messages_upstream import MessagesUpstream

SECRET = "sk-the-tenants-own-0123456789"
REQUESTS = 12
"""On connections of their own: enough for each of two workers to get some."""
FILE = """
[models.demo]
targets = [{ upstream = "demo" }]
on_by_default = true
[groups]
allow_http = true
allow_private = true
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("groups")
    config = folder / "tollbridge.toml"
    config.write_text(FILE)
    environ = {"TENANTS_KEY": SECRET, "TOLLBRIDGE_CONFIG": str(config)}
    gateway = Gateway(folder / "data", config, environ)
    with running(gateway, "--workers", "2") as started:
        yield started


@pytest.fixture(scope="module")
def upstreams() -> Iterator[dict[str, FakeUpstream]]:
    with (
        serving_in_thread(ChatUpstream(api_key=SECRET)) as chat,
        serving_in_thread(MessagesUpstream(api_key=SECRET)) as messages,
    ):
        yield {"chat": chat, "messages": messages}


def address(gateway: Gateway, group: str) -> str:
    return f"{gateway.root_url}/v1/ai/{group}"


def add(gateway: Gateway, upstreams: dict[str, FakeUpstream], protocol: str, *more: str) -> None:
    base_url = upstreams[protocol].root_url + ("/v1" if protocol == "chat" else "")
    gateway.run(
        *("group", "add", f"my-{protocol}", "--base-url", base_url, "--protocol", protocol),
        *("--api-key-env", "TENANTS_KEY", "--env", gateway.environment, "--replace", *more),
    )


def statuses(gateway: Gateway, group: str, model: str = "any/model") -> set[int]:
    url = f"{address(gateway, group)}/v1/messages"
    return {call(url, prompt("Hello", model), key=gateway.key).status for _ in range(REQUESTS)}


@pytest.mark.parametrize("protocol", ["chat", "messages"])
def test_both_sdks_reach_it_and_no_pack_pays(gateway: Gateway, upstreams, protocol: str):
    add(gateway, upstreams, protocol)
    before = gateway.run("pack", "list")
    base_url = address(gateway, f"my-{protocol}")
    with openai.OpenAI(base_url=base_url, api_key=gateway.key) as client:
        said = client.chat.completions.create(
            model="any/model", messages=[{"role": "user", "content": "Hello there"}]
        )
        assert "Hello there" in (said.choices[0].message.content or "")
    with (
        anthropic.Anthropic(base_url=base_url, auth_token=gateway.key) as client,
        client.messages.stream(
            model="any/model", max_tokens=64, messages=[{"role": "user", "content": "Hello there"}]
        ) as stream,
    ):
        assert "Hello there" in stream.get_final_text()
        request_id = stream.response.headers["request-id"]
    assert gateway.run("pack", "list") == before
    receipt = call(
        f"{gateway.root_url}/v1/ai/receipts/{request_id}", key=gateway.key, method="GET"
    ).json()
    assert (receipt["provenance"], receipt["charge"], receipt["packs"]) == ("own", 0, [])
    assert receipt["model"] == f"own:my-{protocol}/any/model"
    assert receipt["usage"]["output"] > 0
    assert receipt["price"]["book"]["base"]["output"] == 0
    for request in upstreams[protocol].requests:
        assert gateway.key not in json.dumps(dict(request.headers))
    assert gateway.run("ledger", "audit")["differences"] == []


def test_changes_hold_at_once_on_both_workers(gateway: Gateway, upstreams):
    add(gateway, upstreams, "chat")
    environment = ("--env", gateway.environment)
    assert statuses(gateway, "my-chat") == {200}
    gateway.run("group", "models", "my-chat", "k2", "k3", *environment)
    assert statuses(gateway, "my-chat") == {404}
    assert statuses(gateway, "my-chat", "k3") == {200}
    listed = call(f"{address(gateway, 'my-chat')}/models", key=gateway.key, method="GET").json()
    assert [model["id"] for model in listed["data"]] == ["k2", "k3"]
    gateway.run("group", "remove", "my-chat", *environment)
    assert statuses(gateway, "my-chat", "k3") == {404}
    add(gateway, upstreams, "chat")
    assert statuses(gateway, "my-chat") == {200}


def test_a_key_that_the_vendor_refuses(gateway: Gateway, upstreams):
    gateway.environ["WRONG_KEY"] = "sk-wrong-0123456789-0123"
    add(gateway, upstreams, "messages", "--api-key-env", "WRONG_KEY")
    answer = call(
        f"{address(gateway, 'my-messages')}/v1/messages", prompt("Hi", "m"), key=gateway.key
    )
    assert answer.status >= 400
    assert "sk-wrong" not in answer.body.decode()


def test_no_secret_is_anywhere_to_be_read(gateway: Gateway, upstreams):
    add(gateway, upstreams, "chat")
    assert statuses(gateway, "my-chat") == {200}
    folder = Path(gateway.data)
    for path in (path for path in folder.rglob("*") if path.is_file()):
        assert SECRET.encode() not in path.read_bytes(), path


def test_a_group_that_leads_back_here_goes_round_once(gateway: Gateway):
    environment = ("--env", gateway.environment)
    gateway.environ["OWN_KEY"] = gateway.key
    gateway.run(
        *("group", "add", "loop", "--base-url", address(gateway, "loop"), "--protocol", "messages"),
        *("--api-key-env", "OWN_KEY", *environment),
    )
    answer = call(f"{address(gateway, 'loop')}/v1/messages", prompt("Hi", "m"), key=gateway.key)
    assert answer.status == 400
    assert "leads back to this gateway" in answer.json()["error"]["message"]
