"""What is lost is told, over the real server: dropped fields, cut answers, silence."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.e2e.conftest import Bridge
from tests.e2e.gateway import Gateway, running
from tests.e2e.http_calls import call
from tests.fakes.http_server import EVENT_TYPE, Reply, Request, serving_in_thread
from tests.properties.test_text_frames import upstream_bytes

PATHS = {"messages": "/v1/messages", "chat": "/chat/completions"}
MODELS = ("messages", "chat")


def body(client: str, model: str, text: str, **members: object) -> dict[str, object]:
    limit = {"max_tokens": 99} if client == "messages" else {}
    return {"model": model, "messages": [{"role": "user", "content": text}], **limit, **members}


@pytest.mark.parametrize("client", PATHS)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("stream", [False, True])
def test_a_cut_answer_is_an_error(bridge: Bridge, client: str, model: str, stream: bool):
    gateway = bridge.gateway
    url = gateway.base_url + PATHS[client]
    asked = body(client, model, "@cut_after=8 @chunks=50 Go", stream=stream)
    answer = call(url, asked, key=gateway.key)
    if stream:
        assert answer.status == 200
        last = answer.body.decode().rstrip("\n").rpartition("\n")[2].removeprefix("data: ")
        assert "error" in json.loads(last), "the stream ends in an error"
        assert (b"event: error" in answer.body) == (client == "messages")
        assert b"[DONE]" not in answer.body
        assert b"message_stop" not in answer.body
    else:
        assert answer.status >= 500
        assert answer.json()["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_dropped_is_told_and_refused_to_strict_requests(bridge: Bridge, stream: bool):
    gateway = bridge.gateway
    url = gateway.base_url + PATHS["chat"]
    asked = body("chat", "messages", "Go", seed=7, stream=stream)
    told = call(url, asked, key=gateway.key)
    assert (told.status, told.headers["x-tollbridge-dropped"]) == (200, "seed")
    strict = call(url, asked, key=gateway.key, x_tollbridge_strict="1")
    assert strict.status == 400
    assert "seed" in strict.json()["error"]["message"]
    made = gateway.run("key", "create", "--env", gateway.environment, "--strict")
    by_key = call(url, asked, key=made["key"])
    assert (by_key.status, "seed" in by_key.json()["error"]["message"]) == (400, True)
    native = call(url, {**asked, "model": "chat"}, key=made["key"])
    assert (native.status, "x-tollbridge-dropped" in native.headers) == (200, False)


SILENCE_S = 11.5
"""Longer than the gateway lets a client wait for a sign of life."""


def slow(request: Request) -> Reply:
    """An upstream that sends a head and then thinks for long."""
    protocol = "messages" if request.path.endswith("/messages") else "chat"
    pieces = (b"\n", upstream_bytes(protocol, ["Hello"]))
    return Reply(200, pieces, EVENT_TYPE, pace_s=SILENCE_S)


def test_silence_before_the_first_token_is_broken_in_the_clients_words(tmp_path: Path):
    with serving_in_thread(slow) as upstream:
        config = tmp_path / "tollbridge.toml"
        config.write_text(
            "\n".join(
                f'[upstreams.{name}]\nprotocol = "{name}"\nbase_url = "{upstream.root_url}"\n'
                f'[models.{name}]\ntargets = [{{ upstream = "{name}" }}]\non_by_default = true'
                for name in MODELS
            )
        )
        with running(Gateway(tmp_path / "data", config)) as gateway:

            def asked(pair: tuple[str, str]) -> bytes:
                client, model = pair
                url = gateway.base_url + PATHS[client]
                return call(url, body(client, model, "Go", stream=True), key=gateway.key).body

            pairs = [(client, model) for client in PATHS for model in MODELS]
            with ThreadPoolExecutor(len(pairs)) as threads:
                answers = dict(zip(pairs, threads.map(asked, pairs), strict=True))
    for (client, _), answer in answers.items():
        beat = b"event: ping\n" if client == "messages" else b": keep-alive\n"
        assert answer.startswith(beat), answer[:200]
        assert b"Hello" in answer
        assert (b"message_stop" if client == "messages" else b"[DONE]") in answer
