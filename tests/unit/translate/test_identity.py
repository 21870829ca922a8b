"""Messages to Messages: bytes pass, the bridge only looks."""

import json
from typing import Any

import pytest

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.asks import read_ask
from tollbridge.translate.bridge import Ask, Identity, UpstreamTerms
from tollbridge.translate.identity import MessagesIdentity, MessagesRelay
from tollbridge.usage import TokenUsage
from tollbridge.wire.sse import SSEDecoder, encode_event

IDENTITY = Identity("req_1", "abc", 1_700_000_000)
TERMS = UpstreamTerms("m", "generic", 100)
BODY = (
    b'{ "model": "m", "max_tokens": 50,\n "messages": [{"role":"user","content":"\\u00e9"}],'
    b' "new_field": {"b":1, "a":2.50} }'
)


def bridge(body: bytes = BODY) -> MessagesIdentity:
    return MessagesIdentity(read_ask("messages", body), body, IDENTITY)


def event(value: dict[str, Any]) -> bytes:
    return encode_event(value["type"], json.dumps(value).encode())


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


START = {
    "type": "message_start",
    "message": {
        "id": "msg_up",
        "model": "m",
        "content": [],
        "usage": {"input_tokens": 7, "cache_read_input_tokens": 2, "output_tokens": 1},
    },
}
TEXT = block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "Hello world"})
STOP = [
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
    {"type": "message_stop"},
]
WIRE = b"".join(event(value) for value in [START, *TEXT, *STOP])


def relay(*, thinking: bool = False, model: str = "m") -> MessagesRelay:
    ask = Ask(model=model, stream=True, max_tokens=50, thinking=thinking)
    return MessagesRelay(ask, IDENTITY)


def sent(stream: MessagesRelay, wire: bytes) -> list[dict[str, Any]]:
    out = stream.feed(wire) + stream.close()
    events = SSEDecoder().feed(out)
    for name, data in events:
        assert name == json.loads(data)["type"]
    return [json.loads(item.data) for item in events]


# The request


def test_the_clients_bytes_pass() -> None:
    assert bridge().request(TERMS) is BODY


def test_another_model_name_and_a_cap_change_only_their_members() -> None:
    changed = bridge().request(UpstreamTerms("up/m", "generic", 20))
    assert changed == (
        b'{"model":"up/m","max_tokens":20,"messages":[{"role":"user","content":"\\u00e9"}],'
        b'"new_field":{"b":1, "a":2.50}}'
    )


@pytest.mark.parametrize(
    ("cap", "thinking"),
    [
        (3000, {"type": "enabled", "budget_tokens": 2999, "display": "omitted"}),
        (1024, {"type": "disabled"}),
        (4500, {"type": "enabled", "budget_tokens": 4096, "display": "omitted"}),
    ],
)
def test_a_cap_keeps_the_thinking_budget_below_it(cap: int, thinking: dict[str, Any]) -> None:
    body = json.dumps(
        {
            "model": "m",
            "max_tokens": 8192,
            "messages": [{"role": "user", "content": "x"}],
            "thinking": {"type": "enabled", "budget_tokens": 4096, "display": "omitted"},
        }
    ).encode()
    changed = json.loads(bridge(body).request(UpstreamTerms("m", "anthropic", cap)))
    assert changed["thinking"] == thinking
    assert changed["max_tokens"] == cap


def test_cliproxyapi_570_thinking_signed_elsewhere_does_not_reach_anthropic() -> None:
    own = {"type": "thinking", "thinking": "x", "signature": "tb1.AAAA"}
    genuine = {"type": "thinking", "thinking": "x", "signature": "EqQB"}
    text = {"type": "text", "text": "y"}
    body = json.dumps(
        {
            "model": "m",
            "max_tokens": 50,
            "messages": [
                {"role": "user", "content": "x"},
                {"role": "assistant", "content": [genuine, own, text]},
                {"role": "user", "content": "x"},
            ],
        }
    ).encode()
    changed = json.loads(bridge(body).request(UpstreamTerms("m", "anthropic", 50)))
    assert changed["messages"][1]["content"] == [genuine, text]
    assert bridge(body).request(TERMS) is body, "other servers have no signatures to check"


# The one-shot answer


def answer(**members: Any) -> bytes:
    whole = {
        "id": "msg_up",
        "type": "message",
        "model": "m",
        "content": [{"type": "text", "text": "Hello world!"}],
        "usage": {"input_tokens": 7, "output_tokens": 9},
    }
    return json.dumps({**whole, **members}).encode()


def test_a_reply_passes_and_is_looked_at() -> None:
    body = answer()
    reply = bridge().reply(body)
    assert reply.body is body
    assert reply.usage == TokenUsage(input=7, output=9)
    assert reply.counted_output == 3


def test_a_reply_bears_the_clients_model_name() -> None:
    reply = bridge().reply(answer(model="up/m"))
    assert json.loads(reply.body) == json.loads(answer())


def test_a_reply_holds_no_thinking_that_was_not_asked_for() -> None:
    thought = {"type": "thinking", "thinking": "hmmm", "signature": "s"}
    text = {"type": "text", "text": "Hi", "citations": None}
    body = answer(content=[thought, {"type": "redacted_thinking", "data": "d"}, text])
    assert json.loads(bridge().reply(body).body)["content"] == [text]
    asked = BODY.replace(b'"new_field"', b'"thinking":{"type":"adaptive"},"new_field"')
    assert bridge(asked).reply(body).body is body


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"type":"error","error":{"type":"overloaded_error"}}', ErrorCode.UPSTREAM_OVERLOADED),
        (b"<html>", ErrorCode.UPSTREAM_FAILED),
        (b"{}", ErrorCode.UPSTREAM_FAILED),
        (b'{"type":"message"}', ErrorCode.UPSTREAM_FAILED),
    ],
)
def test_what_is_no_answer_is_an_error(body: bytes, code: ErrorCode) -> None:
    with pytest.raises(GatewayError) as caught:
        bridge().reply(body)
    assert caught.value.code is code


# The stream


@pytest.mark.parametrize("size", [1, 7, 100, len(WIRE)])
def test_a_stream_passes_byte_for_byte_however_it_is_cut(size: int) -> None:
    stream = relay()
    pieces = [WIRE[i : i + size] for i in range(0, len(WIRE), size)]
    assert b"".join(map(stream.feed, pieces)) + stream.close() == WIRE
    assert stream.finished
    assert stream.failure is None
    assert stream.usage == TokenUsage(input=7, cache_read=2, output=9)
    assert stream.counted_output == 3


def test_a_stream_bears_the_clients_model_name_and_nothing_else_changes() -> None:
    stream = relay(model="mine")
    data = json.dumps(START)
    expected = WIRE.replace(data.encode(), data.replace('"model": "m"', '"model":"mine"').encode())
    assert stream.feed(WIRE) == expected


def test_comments_and_unknown_events_pass() -> None:
    stream = relay()
    odd = b': hello\n\nevent: new\ndata: {"type":"new","delta":"x","index":"y"}\n\n'
    assert stream.feed(odd) == odd


def test_llm_gateway_2053_events_without_json_do_not_reach_the_client() -> None:
    stream = relay()
    assert stream.feed(b"event: ping\n\ndata: : PROCESSING\n\ndata: [DONE]\n\n") == b""


def test_events_without_a_name_get_one() -> None:
    stream = relay()
    assert stream.feed(b'data: {"type":"ping"}\n\n') == b'event: ping\ndata: {"type":"ping"}\n\n'


def hidden_stream() -> bytes:
    values = [
        START,
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "hm"},
            {"type": "signature_delta", "signature": "s"},
        ),
        *block(1, {"type": "redacted_thinking", "data": "d"}),
        *block(2, {"type": "text", "text": ""}, {"type": "text_delta", "text": "a"}),
        *block(3, {"type": "thinking", "thinking": "", "signature": ""}),
        *block(
            4,
            {"type": "tool_use", "id": "t", "name": "f", "input": {}},
            {"type": "input_json_delta", "partial_json": '{"index":4}'},
        ),
        *STOP,
    ]
    return b"".join(map(event, values))


def test_thinking_that_was_not_asked_for_is_left_out_and_indices_close_up() -> None:
    values = sent(relay(), hidden_stream())
    assert values == [
        START,
        *block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "a"}),
        *block(
            1,
            {"type": "tool_use", "id": "t", "name": "f", "input": {}},
            {"type": "input_json_delta", "partial_json": '{"index":4}'},
        ),
        *STOP,
    ]


def test_thinking_that_was_asked_for_passes() -> None:
    assert relay(thinking=True).feed(hidden_stream()) == hidden_stream()


@pytest.mark.parametrize("count", range(1, 6))
def test_litellm_32159_a_cut_stream_ends_in_an_error(count: int) -> None:
    whole = [START, *TEXT, *STOP][:count]
    stream = relay()
    wire = b"".join(map(event, whole))
    values = sent(stream, wire + b'event: message_delta\ndata: {"type":"mess')
    assert values[:-1] == whole, "half an event is not passed on"
    assert values[-1]["type"] == "error"
    assert values[-1]["request_id"] == "req_1"
    assert stream.failure is not None
    assert stream.failure.code is ErrorCode.UPSTREAM_TRUNCATED
    assert not stream.finished


def test_a_last_event_without_a_blank_line_counts() -> None:
    stream = relay()
    assert stream.feed(WIRE[:-2]) + stream.close() == WIRE
    assert stream.finished


def test_an_upstream_error_passes_and_is_noted() -> None:
    stream = relay()
    error = event({"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}})
    assert stream.feed(error) == error
    assert stream.failure is not None
    assert stream.failure.code is ErrorCode.UPSTREAM_OVERLOADED
    assert stream.feed(event(STOP[1])) == b"", "nothing follows an error"
    assert stream.close() == b""


def test_an_upstream_error_gives_no_address_away() -> None:
    stream = relay()
    detail = {"type": "api_error", "message": "dial http://10.0.0.7:9000 refused"}
    values = sent(stream, event({"type": "error", "error": detail}))
    assert "10.0.0.7" not in values[0]["error"]["message"]
    assert len(values) == 1


def test_a_failure_from_outside_ends_the_stream_once() -> None:
    stream = relay()
    error = GatewayError(ErrorCode.UPSTREAM_TIMEOUT, "Too late.")
    assert b"event: error\n" in stream.fail(error)
    assert stream.fail(error) == b""
    assert stream.close() == b""
