import msgspec
import pytest

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.chat_answers import read_chunk, read_completion, reasoning_text
from tollbridge.translate.unknown_names import UnknownNames
from tollbridge.wire.chat.chunks import ChunkDelta


def delta_of(delta: object) -> ChunkDelta:
    chunk = read_chunk(msgspec.json.encode({"choices": [{"index": 0, "delta": delta}]}))
    assert chunk.choices
    assert chunk.choices[0].delta is not None
    return chunk.choices[0].delta


def test_bent_members_are_mended():
    call = {"index": 0, "id": 7, "function": {"name": "f", "arguments": {"b": 1, "a": 2}}}
    delta = delta_of(
        {"content": [{"type": "text", "text": "x"}, {"type": "z"}], "tool_calls": [call]}
    )
    assert delta.content == "x"
    assert delta.tool_calls
    assert delta.tool_calls[0].id == "7"
    assert delta.tool_calls[0].function
    assert delta.tool_calls[0].function.arguments == '{"b":1,"a":2}'


def test_reasoning_is_read_from_the_first_member_that_has_it():
    assert reasoning_text(delta_of({"reasoning_content": "", "reasoning": "b"})) == "b"
    assert reasoning_text(delta_of({"reasoning_content": "a", "reasoning": "b"})) == "a"
    assert reasoning_text(delta_of({"content": "x"})) == ""


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"error": {"message": "m", "code": 429}}, ErrorCode.UPSTREAM_RATE_LIMITED),
        ({"error": "m"}, ErrorCode.UPSTREAM_FAILED),
        ({"object": "error", "message": "m", "code": 400}, ErrorCode.UPSTREAM_REFUSED),
        ({"code": "x", "message": "m", "requestId": "r"}, ErrorCode.UPSTREAM_FAILED),
    ],
)
def test_errors_in_disguise(body: object, code: ErrorCode):
    for read in (read_chunk, read_completion):
        with pytest.raises(GatewayError) as caught:
            read(msgspec.json.encode(body))
        assert caught.value.code is code


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"7", b'{"choices": 7}', b"[" * 10_000])
def test_what_cannot_be_read_is_a_failure(body: bytes):
    for read in (read_chunk, read_completion):
        with pytest.raises(GatewayError) as caught:
            read(body)
        assert caught.value.code is ErrorCode.UPSTREAM_FAILED


def test_chunks_without_choices_are_no_failure_but_answers_are():
    assert read_chunk(b'{"choices": null}').choices is None
    assert read_chunk(b'{"id": "x"}').choices is None
    with pytest.raises(GatewayError):
        read_completion(b'{"id": "x", "choices": []}')


def test_broken_utf8_in_a_member_that_nobody_reads_is_the_upstream_s_failure():
    with pytest.raises(GatewayError) as caught:
        read_completion(b'{"x":"\xff"}')
    assert caught.value.code is ErrorCode.UPSTREAM_FAILED


@pytest.mark.parametrize(
    "data",
    [
        b'{"choices":[{"index":0,"delta":{"\x80new":"x"}}]}',
        b'{"choices":[{"index":0,"delta":{"new":1}},{"index":1,"delta":null}]}',
    ],
)
def test_a_closer_look_at_unknown_members_never_fails(data: bytes):
    unknown = UnknownNames()
    assert read_chunk(data, unknown).choices
    assert unknown.names() == []
