"""Chat to Chat: bytes pass, the bridge only looks."""

import json
from typing import Any

import pytest

from tollbridge.dialect_config import DialectOverrides
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.asks import read_ask
from tollbridge.translate.bridge import Ask, Identity, UpstreamTerms
from tollbridge.translate.chat_identity import ChatIdentity, ChatRelay
from tollbridge.translate.gathered_completion import GatheredCompletion
from tollbridge.usage import TokenUsage
from tollbridge.wire.sse import SSEDecoder

IDENTITY = Identity("req_1", "abc", 1_700_000_000)
TERMS = UpstreamTerms("m", "generic", 100)
BODY = b'{ "model": "m", "max_tokens": 50,\n "messages": [{"role":"user","content":"x"}], "min_p":0.10 }'


def bridge(body: bytes = BODY) -> ChatIdentity:
    return ChatIdentity(read_ask("chat", body), body, IDENTITY)


def request(terms: UpstreamTerms = TERMS, **members: Any) -> dict[str, Any]:
    whole = {"model": "m", "messages": [{"role": "user", "content": "x"}], **members}
    return json.loads(bridge(json.dumps(whole).encode()).request(terms))


# The request


def test_the_clients_bytes_pass() -> None:
    assert bridge().request(TERMS) is BODY


def test_another_model_name_changes_only_its_member() -> None:
    assert bridge().request(UpstreamTerms("up/m", "generic", 50)) == (
        b'{"model":"up/m","max_tokens":50,"messages":[{"role":"user","content":"x"}],"min_p":0.10}'
    )


@pytest.mark.parametrize(
    ("members", "dialect", "expected"),
    [
        ({}, "generic", {"max_tokens": 100}),
        ({}, "openai", {"max_completion_tokens": 100}),
        ({"max_tokens": None}, "generic", {"max_tokens": 100}),
        ({"max_tokens": 101}, "openai", {"max_tokens": 100}),
        ({"max_completion_tokens": 500}, "generic", {"max_completion_tokens": 100}),
        (
            {"max_completion_tokens": 7, "max_tokens": 500},
            "generic",
            {"max_completion_tokens": 7, "max_tokens": 100},
        ),
        ({"n": 4, "max_tokens": 50}, "generic", {"n": 4, "max_tokens": 25}),
        ({"n": 4}, "generic", {"n": 4, "max_tokens": 25}),
    ],
)
def test_the_output_that_is_paid_for_is_the_limit(
    members: dict[str, Any], dialect: str, expected: dict[str, Any]
) -> None:
    changed = request(UpstreamTerms("m", dialect, 100), **members)
    del changed["model"], changed["messages"]
    assert changed == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (None, {"include_usage": True}),
        ({"include_usage": False, "x": 1}, {"include_usage": True, "x": 1}),
        ({"include_usage": True, "x": 1}, {"include_usage": True, "x": 1}),
    ],
)
def test_a_stream_is_asked_to_report_usage(
    options: dict[str, Any] | None, expected: dict[str, Any]
) -> None:
    changed = request(max_tokens=50, stream=True, stream_options=options)
    assert changed["stream_options"] == expected


# The one-shot answer


def answer(**members: Any) -> bytes:
    whole = {
        "id": "c",
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello world!"}}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 9, "cached_tokens": 2},
    }
    return json.dumps({**whole, **members}).encode()


def test_a_reply_passes_and_is_looked_at() -> None:
    body = answer()
    reply = bridge().reply(body)
    assert reply.body is body
    assert reply.usage == TokenUsage(input=5, cache_read=2, output=9)
    assert reply.counted_output == 3


def test_a_reply_bears_the_clients_model_name() -> None:
    assert json.loads(bridge().reply(answer(model="up/m")).body) == json.loads(answer())


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"error":{"message":"slow down","code":429}}', ErrorCode.UPSTREAM_RATE_LIMITED),
        (b'{"error":"broken"}', ErrorCode.UPSTREAM_FAILED),
        (b"<html>", ErrorCode.UPSTREAM_FAILED),
        (b"{}", ErrorCode.UPSTREAM_FAILED),
    ],
)
def test_what_is_no_answer_is_an_error(body: bytes, code: ErrorCode) -> None:
    with pytest.raises(GatewayError) as caught:
        bridge().reply(body)
    assert caught.value.code is code


# The stream


def relay(*, include_usage: bool = False, model: str = "m") -> ChatRelay:
    ask = Ask(
        model=model,
        stream=True,
        max_tokens=50,
        thinking=True,
        include_usage=include_usage,
        input_estimate=11,
    )
    return ChatRelay(ask, IDENTITY)


def chunk(delta: dict[str, Any], finish: str | None = None, **members: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c", "model": "m", "choices": [choice], **members}


def data(value: Any) -> bytes:
    return b"data: %b\n\n" % json.dumps(value).encode()


USAGE = {"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16}
TEXT = [
    chunk({"role": "assistant", "content": ""}, usage=None),
    chunk({"reasoning_content": "Hello "}, usage=None),
    chunk({"content": "world!"}, usage=None),
]
FINISH = chunk({}, "stop", usage=None)
LAST = {"id": "c", "model": "m", "choices": [], "usage": USAGE}
DONE = b"data: [DONE]\n\n"
WIRE = b"".join(map(data, [*TEXT, FINISH, LAST])) + DONE


def values(wire: bytes) -> list[Any]:
    return [
        "DONE" if event.data == b"[DONE]" else json.loads(event.data)
        for event in SSEDecoder().feed(wire)
    ]


@pytest.mark.parametrize("size", [1, 7, 100, len(WIRE)])
def test_a_stream_passes_byte_for_byte_however_it_is_cut(size: int) -> None:
    stream = relay(include_usage=True)
    pieces = [WIRE[i : i + size] for i in range(0, len(WIRE), size)]
    assert b"".join(map(stream.feed, pieces)) + stream.close() == WIRE
    assert stream.finished
    assert stream.failure is None
    assert stream.usage == TokenUsage(input=7, output=9)
    assert stream.counted_output == 3


def test_usage_nobody_asked_for_comes_with_the_last_choice() -> None:
    stream = relay()
    sent = values(stream.feed(WIRE))
    assert sent[:3] == TEXT
    assert sent[3]["choices"] == FINISH["choices"]
    assert sent[3]["usage"]["total_tokens"] == 16
    assert sent[4:] == ["DONE"]


def test_usage_the_upstream_already_told_there_keeps_its_bytes() -> None:
    wire = data(chunk({"content": "x"}, "stop", usage={**USAGE, "own": 1})) + DONE
    assert values(relay().feed(wire))[0]["usage"] == {**USAGE, "own": 1}


@pytest.mark.parametrize("include_usage", [True, False])
def test_a_server_that_reports_nothing_is_counted(include_usage: bool) -> None:
    stream = relay(include_usage=include_usage)
    sent = values(stream.feed(b"".join(map(data, [*TEXT, FINISH])) + DONE))
    assert sent[-1] == "DONE"
    assert sent[-2]["usage"]["prompt_tokens"] == 11
    assert sent[-2]["usage"]["completion_tokens"] == 3
    assert (sent[-2]["choices"] == []) is include_usage
    assert stream.usage is None, "counted is not reported"


def test_usage_in_every_chunk_and_inside_choices() -> None:
    stream = relay()
    stream.feed(data(chunk({"content": "x"}, usage={"prompt_tokens": 7, "completion_tokens": 1})))
    assert stream.usage == TokenUsage(input=7, output=1)
    end = chunk({}, "stop")
    end["choices"][0]["usage"] = USAGE
    stream.feed(data(end))
    assert stream.usage == TokenUsage(input=7, output=9)


def test_a_finish_of_one_of_several_choices_holds_nothing_back_for_long() -> None:
    stream = relay()
    first = chunk({}, "stop")
    second = {**chunk({"content": "b"}), "choices": [{"index": 1, "delta": {"content": "b"}}]}
    assert stream.feed(data(first)) == b""
    assert values(stream.feed(data(second))) == [first, second]


def test_a_stream_bears_the_clients_model_name_and_nothing_else_changes() -> None:
    stream = relay(include_usage=True, model="mine")
    assert stream.feed(WIRE) == WIRE.replace(b'"model": "m"', b'"model":"mine"')


def test_comments_and_first_chunks_without_choices_pass() -> None:
    stream = relay()
    odd = b": OPENROUTER PROCESSING\n\n" + data({"choices": [], "prompt_filter_results": []})
    assert stream.feed(odd) == odd


def test_llm_gateway_2053_what_is_no_chunk_does_not_reach_the_client() -> None:
    stream = relay()
    assert stream.feed(b"event: ping\n\ndata: : PROCESSING\n\n") == b""


@pytest.mark.parametrize("last", [{"usage": USAGE}, {"choices": None, "usage": USAGE}])
def test_every_chunk_has_choices(last: dict[str, Any]) -> None:
    stream = relay(include_usage=True)
    assert values(stream.feed(data(last))) == [{"usage": USAGE, "choices": []}]
    assert stream.usage == TokenUsage(input=7, output=9)


def test_a_server_without_done_ends_cleanly_if_it_said_why() -> None:
    stream = relay()
    sent = stream.feed(b"".join(map(data, [*TEXT, FINISH]))) + stream.close()
    assert values(sent)[-1] == "DONE"
    assert stream.finished
    assert stream.failure is None


def test_talon_254_a_cut_stream_ends_in_an_error_and_not_in_done() -> None:
    stream = relay()
    sent = values(stream.feed(b"".join(map(data, TEXT)) + b'data: {"choi') + stream.close())
    assert sent[:-1] == TEXT
    assert sent[-1]["choices"] == []
    assert sent[-1]["error"]["code"] == "stream_truncated"
    assert stream.failure is not None
    assert stream.failure.code is ErrorCode.UPSTREAM_TRUNCATED
    assert not stream.finished


@pytest.mark.parametrize(
    "error", [{"error": {"message": "Busy", "type": "overloaded_error"}}, {"error": "Busy"}]
)
def test_an_upstream_error_is_told_in_a_form_every_parser_takes(error: dict[str, Any]) -> None:
    stream = relay()
    sent = values(stream.feed(data(TEXT[0]) + data(error) + DONE) + stream.close())
    assert sent[0] == TEXT[0]
    assert sent[1]["choices"] == []
    assert "Busy" in sent[1]["error"]["message"]
    assert len(sent) == 2, "nothing follows an error"
    assert stream.failure is not None


# A server that goes on with an answer nobody waits for is asked for a stream.


def test_a_stream_is_asked_for_one_answer() -> None:
    terms = UpstreamTerms("m", "llama.cpp", 100)
    asked = request(terms, max_tokens=50, stream=False, logprobs=True, n=2)
    assert asked == {
        "model": "m", "messages": [{"role": "user", "content": "x"}], "max_tokens": 50,
        "stream": True, "logprobs": True, "n": 2, "stream_options": {"include_usage": True},
    }  # fmt: skip
    gathering = bridge()
    gathering.request(terms)
    assert gathering.gathers
    assert isinstance(gathering.gather(), GatheredCompletion)


def test_a_streaming_client_and_other_servers_are_left_alone() -> None:
    streaming = bridge(BODY.replace(b"{", b'{"stream":true,', 1))
    streaming.request(UpstreamTerms("m", "llama.cpp", 100))
    other = bridge()
    other.request(TERMS)
    overridden = bridge()
    overrides = DialectOverrides(cancels_answers=True)
    body = overridden.request(UpstreamTerms("m", "llama.cpp", 100, overrides=overrides))
    assert [b.gathers for b in (streaming, other, overridden)] == [False, False, False]
    assert body is BODY


def test_what_is_held_is_told_before_what_follows_it():
    """Some servers say a finish reason in every chunk; each is held until the next has come."""
    choice = {"index": 0, "finish_reason": "stop"}
    texts = ["a", "a", "a", "b", "c", "d"]
    chunks = [{"model": "m", "choices": [{**choice, "delta": {"content": text}}]} for text in texts]
    stream = ChatRelay(read_ask("chat", BODY), IDENTITY)
    data = [b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in chunks]
    sent = b"".join(map(stream.feed, [*data, b"data: [DONE]\n\n"]))
    told = [json.loads(event.data) for event in SSEDecoder().feed(sent)[:-1]]
    assert [chunk["choices"][0]["delta"]["content"] for chunk in told] == texts
