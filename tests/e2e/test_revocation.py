"""What an administrator takes away is gone on the very next request, whichever worker gets it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.e2e.conftest import Bridge, bridge_running
from tests.e2e.http_calls import Answer, call, prompt

REQUESTS = 24
"""On connections of their own: enough for each of two workers to get some."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    with bridge_running(tmp_path_factory.mktemp("workers"), "--workers", "2") as started:
        yield started


def ask_many(bridge: Bridge, key: str, model: str) -> list[Answer]:
    url = f"{bridge.gateway.base_url}/v1/messages"
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda _: call(url, prompt("Hello", model), key=key), range(REQUESTS)))


def test_revoked_key_is_refused_at_once(workers: Bridge):
    gateway = workers.gateway
    created = gateway.run("key", "create", "--env", gateway.environment)
    assert {answer.status for answer in ask_many(workers, created["key"], "chat")} == {200}
    gateway.run("key", "revoke", created["key_id"])
    refused = ask_many(workers, created["key"], "chat")
    assert [answer.status for answer in refused] == [401] * REQUESTS
    body = refused[0].json()
    assert body["error"]["type"] == "authentication_error"
    assert body["code"] == "ACCESS_TOKEN_INVALID"
    assert created["key"] not in refused[0].body.decode()


def test_switch_takes_effect_at_once_in_both_directions(workers: Bridge):
    gateway = workers.gateway
    assert {answer.status for answer in ask_many(workers, gateway.key, "messages")} == {200}
    gateway.run("model", "off", "messages", "--env", gateway.environment)
    refused = ask_many(workers, gateway.key, "messages")
    assert [answer.status for answer in refused] == [404] * REQUESTS
    assert refused[0].json()["code"] == "AI_MODEL_DISABLED"
    gateway.run("model", "on", "messages", "--env", gateway.environment)
    assert {answer.status for answer in ask_many(workers, gateway.key, "messages")} == {200}
