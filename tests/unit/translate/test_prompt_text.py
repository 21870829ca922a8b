import json

import pytest

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.prompt_text import prompt_text


def test_all_that_the_model_reads_and_no_more():
    image = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    call = {"type": "tool_use", "id": "toolu_1", "name": "open_gate", "input": {"gate": 7}}
    result = {
        "type": "tool_result",
        "tool_use_id": "t",
        "content": [{"type": "text", "text": "ok"}],
    }
    body = {
        "model": "m",
        "max_tokens": 5,
        "tools": [{"name": "open_gate", "input_schema": {"type": "object"}}],
        "messages": [
            {"role": "user", "content": [{"type": "image", "source": image}]},
            {"role": "assistant", "content": [call]},
            {"role": "user", "content": [result, {"type": "text", "text": "Thanks"}]},
        ],
        "system": [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
    }
    assert prompt_text(json.dumps(body).encode()).split("\n") == [
        "Be kind.",
        '[{"name":"open_gate","input_schema":{"type":"object"}}]',
        "user",
        "assistant",
        "open_gate",
        '{"gate":7}',
        "user",
        "t",
        "ok",
        "Thanks",
    ]


def test_an_image_by_data_uri_is_no_text():
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    assert prompt_text(json.dumps({"messages": [{"content": [part]}]}).encode()) == ""


@pytest.mark.parametrize(
    "body", [b"{", b"\xff", b'{"messages":' + b"[" * 5_000 + b"]" * 5_000 + b"}"]
)
def test_a_body_that_cannot_be_read(body: bytes):
    with pytest.raises(GatewayError) as caught:
        prompt_text(body)
    assert caught.value.code is ErrorCode.BODY_INVALID


def test_a_body_that_is_no_object_has_no_text():
    assert prompt_text(b"[1]") == ""
