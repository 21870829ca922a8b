"""A client that hangs up: the engine stops generating at once, and what was delivered is paid.

Of a one-shot answer this engine does not watch the connection, whoever closes it: the gateway asks
it for a stream, and gathers the answer.
"""

import json
import re
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.e2e.http_calls import call
from tests.engine.conftest import MODEL, Engine

PATIENCE_S = 10
LONG = 1_900
"""Tokens that take the engine a second or two."""
ENDLESS = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "Count the boats."}],
    "max_tokens": LONG,
    "stream": True,
    # Members of llama.cpp's own, which a Chat client may pass.
    "ignore_eos": True,
    "logit_bias": [[" boat", 100]],
    "chat_template_kwargs": {"enable_thinking": False},
}


def becomes(busy: bool, engine: Engine) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while engine.busy() is not busy and time.monotonic() < deadline:
        time.sleep(0.01)
    return engine.busy() is busy


def generated(engine: Engine) -> int:
    """Tokens that the engine has generated in answers that have ended."""
    text = call(f"{engine.root_url}/metrics", method="GET").body.decode()
    found = re.search(r"^llamacpp:tokens_predicted_total (\d+)", text, re.MULTILINE)
    assert found, text
    return int(found[1])


def ask_and_leave(engine: Engine, body: dict[str, Any] = ENDLESS) -> None:
    parts = urlsplit(engine.gateway.base_url)
    sent = json.dumps(body).encode()
    with socket.create_connection((parts.hostname, parts.port)) as client:
        client.sendall(
            f"POST {parts.path}/chat/completions HTTP/1.1\r\nhost: gateway\r\n"
            f"authorization: Bearer {engine.gateway.key}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(sent)}\r\n\r\n".encode()
            + sent
        )
        assert becomes(True, engine), engine.gateway.log_tail
        if body.get("stream"):
            assert client.recv(4_096).startswith(b"HTTP/1.1 200")


@pytest.mark.slow
def test_the_engine_stops_when_the_client_goes(engine: Engine):
    before = generated(engine)
    ask_and_leave(engine)
    assert becomes(False, engine)
    assert generated(engine) - before < LONG


@pytest.mark.slow
def test_what_was_delivered_is_paid(engine: Engine):
    before = engine.charged()
    ask_and_leave(engine)
    deadline = time.monotonic() + PATIENCE_S
    while (taken := engine.charged() - before) == 0 and time.monotonic() < deadline:
        pass
    assert 0 < taken < LONG * 1_000_000


@pytest.mark.slow
def test_the_engine_stops_when_a_client_of_one_answer_goes(engine: Engine):
    before = generated(engine)
    ask_and_leave(engine, {**ENDLESS, "stream": False})
    assert becomes(False, engine)
    assert generated(engine) - before < LONG
