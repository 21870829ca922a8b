"""A client that hangs up: the engine stops generating at once, and what was delivered is paid."""

import time

import pytest
from tests.engine.conftest import MODEL, Engine

PATIENCE_S = 10
ENDLESS = {"ignore_eos": True, "logit_bias": [[" boat", 100]]}
"""Members of llama.cpp's own that keep it generating to the end of its window."""


def wait_until(done: bool, engine: Engine) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while engine.busy() is not done and time.monotonic() < deadline:
        time.sleep(0.02)
    return engine.busy() is done


@pytest.mark.parametrize("stream", [True, False])
def test_the_engine_stops_when_the_client_goes(engine: Engine, stream: bool):
    body = {
        "model": MODEL, "messages": [{"role": "user", "content": "Count the boats."}],
        "max_tokens": 1_900, "stream": stream, **ENDLESS,
    }  # fmt: skip
    predicted = generated(engine)
    client = socket.create_connection(address(engine))
    send(client, engine, body)
    assert wait_until(True, engine)
    if stream:
        assert client.recv(4_096).startswith(b"HTTP/1.1 200")
    client.close()
    assert wait_until(False, engine)
    assert generated(engine) - predicted < body["max_tokens"]
