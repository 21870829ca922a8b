import json

import pytest

from tollbridge.errors import GatewayError
from tollbridge.translate.bridge import UpstreamTerms
from tollbridge.translate.count_requests import count_request, read_count_reply

TOOL = {"name": "f", "input_schema": {"type": "object", "properties": {}}}
BODY = json.dumps(
    {
        "model": "theirs",
        "system": "Be kind.",
        "messages": [{"role": "user", "content": "foo"}],
        "tools": [TOOL],
    }
).encode()


def asked(dialect: str, upstream="chat", body: bytes = BODY):
    return count_request(body, upstream, UpstreamTerms("ours", dialect, 1), b"")


def test_a_messages_upstream_gets_the_body_with_its_model():
    found = asked("anthropic", "messages")
    assert found is not None
    assert found.path == "/v1/messages/count_tokens"
    assert json.loads(found.body) == {**json.loads(BODY), "model": "ours"}


@pytest.mark.parametrize(
    ("dialect", "path"),
    [("llama.cpp", "/chat/completions/input_tokens"), ("vllm", "/../tokenize")],
)
def test_an_engine_gets_what_it_would_answer(dialect: str, path: str):
    found = asked(dialect)
    assert found is not None
    assert found.path == path
    body = json.loads(found.body)
    assert body["model"] == "ours"
    assert body["messages"][0] == {"role": "system", "content": "Be kind."}
    assert body["tools"][0]["function"]["name"] == "f"


def test_most_chat_upstreams_do_not_count():
    assert asked("openai") is None


def test_what_cannot_be_said_is_an_error():
    with pytest.raises(GatewayError):
        asked("vllm", body=BODY.replace(b'"foo"', b"5"))


@pytest.mark.parametrize(
    ("reply", "tokens"),
    [
        (b'{"input_tokens":7,"object":"response.input_tokens"}', 7),
        (b'{"count":8,"max_model_len":4096,"tokens":[1,2]}', 8),
        (b"{}", None),
        (b'{"input_tokens":-1}', None),
        (b"[]", None),
        (b"\xff", None),
    ],
)
def test_replies(reply: bytes, tokens: int | None):
    assert read_count_reply(reply) == tokens
