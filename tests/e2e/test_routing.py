"""Two upstreams, of which one dies and comes back: nobody notices but in a header."""

import contextlib
import json
import time
from pathlib import Path
from urllib.parse import urlsplit

import anthropic
import openai
import pytest
from tests.e2e.gateway import Gateway, running
from tests.e2e.http_calls import Answer, call, prompt
from tests.e2e.test_kill import open_stream, read_until
from tests.fakes.chat_upstream import ChatUpstream
from tests.fakes.http_server import FakeUpstream, serving_in_thread
from tests.fakes.messages_upstream import MessagesUpstream

from tollbridge.routing.health import EJECTION_MS, STREAK_MAX
from tollbridge.routing.plan import RETRIES_MAX

PATIENCE_S = 20

pytestmark = pytest.mark.slow


def config_text(first: FakeUpstream, second: FakeUpstream) -> str:
    return f"""
    [upstreams.first]
    base_url = "{first.root_url}"
    protocol = "messages"
    concurrency_max = 1
    queue_max = 0
    [upstreams.second]
    base_url = "{second.root_url}/v1"
    protocol = "chat"
    [models.m]
    targets = [{{upstream = "first"}}, {{upstream = "second"}}]
    on_by_default = true
    [models.narrow]
    targets = [{{upstream = "first"}}]
    on_by_default = true
    [models.talk]
    targets = [{{upstream = "second"}}]
    on_by_default = true
    """


def ask(gateway: Gateway, text: str = "Hello", model: str = "m", **headers: str) -> Answer:
    url = f"{gateway.base_url}/v1/messages"
    return call(url, prompt(text, model), key=gateway.key, **headers)


def route(answer: Answer) -> tuple[str, str]:
    """Who answered, and after how many attempts."""
    assert answer.status == 200, answer.body
    told = answer.headers
    return told["x-tollbridge-upstream"], told.get("x-tollbridge-attempts", "1")


def log_lines(gateway: Gateway, event: str) -> list[dict[str, object]]:
    lines = [line for line in gateway.log_tail.splitlines() if line.startswith("{")]
    return [line for line in map(json.loads, lines) if line["event"] == event]


def test_an_upstream_dies_and_comes_back(tmp_path: Path):
    config = tmp_path / "tollbridge.toml"
    with contextlib.ExitStack() as stack:
        second = stack.enter_context(serving_in_thread(ChatUpstream()))
        with serving_in_thread(MessagesUpstream()) as first:
            port = urlsplit(first.root_url).port or 0
            config.write_text(config_text(first, second))
            gateway = stack.enter_context(running(Gateway(tmp_path / "data", config)))
            assert route(ask(gateway)) == ("first", "1")
        for _ in range(STREAK_MAX):
            assert route(ask(gateway)) == ("second", "2")
        assert route(ask(gateway)) == ("second", "1"), "it is out and not asked any more"
        failed = log_lines(gateway, "attempt")
        assert [line["upstream"] for line in failed] == ["first"] * STREAK_MAX
        with serving_in_thread(MessagesUpstream(), port=port):
            deadline = time.monotonic() + EJECTION_MS / 1_000 + PATIENCE_S
            while route(ask(gateway)) != ("first", "1"):
                assert time.monotonic() < deadline, "it was not taken back"
                time.sleep(0.1)
            assert route(ask(gateway)) == ("first", "1")
        audit = gateway.run("ledger", "audit")
        assert (audit["differences"], audit["open_holds"]) == ([], [])


def test_an_upstream_with_one_place(tmp_path: Path):
    config = tmp_path / "tollbridge.toml"
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(serving_in_thread(MessagesUpstream()))
        second = stack.enter_context(serving_in_thread(ChatUpstream()))
        config.write_text(config_text(first, second))
        gateway = stack.enter_context(running(Gateway(tmp_path / "data", config)))
        body = json.dumps(prompt("@chunks=1000 @pace=0.05 Go", "m", stream=True)).encode()
        stream = stack.enter_context(
            contextlib.closing(open_stream(gateway.base_url, gateway.key, body))
        )
        read_until(stream, b"text_delta")
        assert route(ask(gateway)) == ("second", "1"), "nothing was sent to the full one"
        refused = ask(gateway, model="narrow")
        assert (refused.status, refused.headers["retry-after"]) == (529, "1")
        assert refused.headers["x-should-retry"] == "true"
        assert refused.json()["error"]["type"] == "overloaded_error"
        stream.close()
        deadline = time.monotonic() + PATIENCE_S
        while (answer := ask(gateway, model="narrow")).status == 529:
            assert time.monotonic() < deadline, "the place of a client that left is free again"
        assert route(answer) == ("first", "1")


def test_an_error_tells_how_many_attempts_went_before(tmp_path: Path):
    config = tmp_path / "tollbridge.toml"
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(serving_in_thread(MessagesUpstream()))
        second = stack.enter_context(serving_in_thread(ChatUpstream()))
        config.write_text(config_text(first, second))
        gateway = stack.enter_context(running(Gateway(tmp_path / "data", config)))
        for upstream, model, tries in ((first, "narrow", 1 + RETRIES_MAX), (second, "talk", 1)):
            own = {} if tries > 1 else {"x_stainless_retry_count": "1"}
            answer = ask(gateway, "@error=500 Hello", model, **own)
            assert answer.status >= 500, answer.body
            assert len(upstream.requests) == tries
            assert answer.headers.get("x-tollbridge-attempts", "1") == str(tries)


def test_the_retries_of_the_sdks_and_ours_do_not_multiply(tmp_path: Path):
    config = tmp_path / "tollbridge.toml"
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(serving_in_thread(MessagesUpstream()))
        second = stack.enter_context(serving_in_thread(ChatUpstream()))
        config.write_text(config_text(first, second))
        gateway = stack.enter_context(running(Gateway(tmp_path / "data", config)))
        said = [{"role": "user", "content": "@error=500 Hello"}]
        where = {"base_url": gateway.base_url}
        with (
            anthropic.Anthropic(auth_token=gateway.key, **where) as client,
            pytest.raises(anthropic.InternalServerError),
        ):
            client.messages.create(model="narrow", max_tokens=9, messages=said)
        assert len(first.requests) == 1 + RETRIES_MAX + anthropic.DEFAULT_MAX_RETRIES
        with (
            openai.OpenAI(api_key=gateway.key, **where) as client,
            pytest.raises(openai.InternalServerError),
        ):
            client.chat.completions.create(model="talk", messages=said)
        assert len(second.requests) == 1 + RETRIES_MAX + openai.DEFAULT_MAX_RETRIES
