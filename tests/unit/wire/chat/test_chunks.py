import json

import msgspec
import pytest
from hypothesis import given
from tests.unit.wire.vendors import any_json, check_only_declared_errors

from tollbridge.wire.chat.chunks import Chunk, ChunkChoice, ChunkDelta
from tollbridge.wire.chat.responses import ChatError

DECODER = msgspec.json.Decoder(Chunk)
HEAD = '"id":"c","object":"chat.completion.chunk","created":1,"model":"m"'


def delta_of(members: str) -> ChunkDelta:
    chunk = DECODER.decode(f'{{{HEAD},"choices":[{{"index":0,"delta":{members}}}]}}')
    assert chunk.choices is not None
    assert chunk.choices[0].delta is not None
    return chunk.choices[0].delta


def test_deltas_as_servers_send_them():
    assert delta_of('{"role":"assistant","content":""}').content == ""
    assert delta_of('{"reasoning_content":"hm"}').reasoning_content == "hm"
    assert delta_of('{"reasoning":"hm","content":null}').reasoning == "hm"
    assert delta_of('{"refusal":"no","audio":{}}').refusal == "no"
    assert delta_of("{}") == ChunkDelta()
    (detail,) = (
        delta_of(
            '{"reasoning_details":[{"type":"reasoning.encrypted","data":"x"}]}'
        ).reasoning_details
        or []
    )
    assert (detail.type, detail.data) == ("reasoning.encrypted", "x")


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ('{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}', ""),
        ('{"index":0,"function":{"arguments":"{"}}', "{"),
        ('{"function":{"name":"f","arguments":null}}', None),
        ('{"index":0,"id":"","type":"","function":{"name":"","arguments":"}"}}', "}"),
    ],
)
def test_calls_with_members_missing(call: str, arguments: str | None):
    (decoded,) = delta_of(f'{{"tool_calls":[{call}]}}').tool_calls or []
    assert decoded.function is not None
    assert decoded.function.arguments == arguments


@pytest.mark.parametrize(
    "data",
    [
        f'{{{HEAD},"choices":[],"usage":{{"prompt_tokens":1}}}}',
        f'{{{HEAD},"choices":null,"usage":null}}',
        f"{{{HEAD}}}",
        '{"choices":[{"delta":null,"finish_reason":"stop"}]}',
        '{"choices":[{"finish_reason":"","matched_stop":151645,"logprobs":{"content":null}}]}',
        '{"choices":[{"index":0,"delta":{},"usage":{"prompt_tokens":1}}]}',
        '{"type":"ping"}',
    ],
)
def test_chunks_of_odd_servers(data: str):
    chunk = DECODER.decode(data)
    assert DECODER.decode(msgspec.json.encode(chunk)) == chunk


def test_an_error_in_a_chunk():
    error = DECODER.decode('{"choices":[],"error":{"message":"M","code":503}}').error
    assert isinstance(error, ChatError)
    assert (error.message, error.code) == ("M", 503)


def test_index_and_finish_reason_are_written_even_when_they_say_nothing():
    choice = ChunkChoice(delta=ChunkDelta(content="x"))
    chunk = Chunk(id="c", object="chat.completion.chunk", created=1, model="m", choices=[choice])
    written = json.loads(msgspec.json.encode(chunk))
    assert written == {
        "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": None}],
    }  # fmt: skip


@given(any_json(*Chunk.__struct_fields__, *ChunkChoice.__struct_fields__, "tool_calls", "function"))
def test_nothing_but_the_declared_error(body: bytes):
    check_only_declared_errors(body, DECODER)
