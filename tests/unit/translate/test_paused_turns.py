"""A turn that the upstream pauses, and a Chat client that knows no pause."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate import held
from tollbridge.translate.asks import read_ask
from tollbridge.translate.bridge import Identity, UpstreamTerms
from tollbridge.translate.chat_on_messages import ChatOnMessages
from tollbridge.translate.stream_to_chat import ChatStream
from tollbridge.units import RESUMES_MAX
from tollbridge.wire.sse import SSEDecoder, encode_event

Json = dict[str, Any]

SEARCH: Json = {
    "type": "server_tool_use",
    "id": "s1",
    "name": "web_search",
    "input": {"query": "x"},
}
FOUND: Json = {
    "type": "web_search_tool_result", "tool_use_id": "s1", "of_tomorrow": {"a": [1]},
    "content": [{"type": "web_search_result", "url": "u", "title": "t", "encrypted_content": "E"}],
}  # fmt: skip
CITED: Json = {"type": "text", "text": "It floats", "citations": [{"type": "x", "url": "u"}]}
THOUGHT: Json = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
END: Json = {"type": "text", "text": "."}


def bridge(stream: bool, dialect: str = "anthropic", **members: Any) -> ChatOnMessages:
    asked = {
        "model": "m", "messages": [{"role": "user", "content": "Boats?"}], "stream": stream,
        "web_search_options": {"search_context_size": "low"}, "max_tokens": 500, **members,
    }  # fmt: skip
    body = json.dumps(asked).encode()
    made = ChatOnMessages(read_ask("chat", body), body, Identity("req_1", "abc", 1))
    made.request(UpstreamTerms("up", dialect, 500))
    return made


def body_of(*content: Json, stop: str, output: int = 7) -> bytes:
    usage = {"input_tokens": 10, "cache_read_input_tokens": 2, "output_tokens": output}
    return json.dumps({"content": content, "stop_reason": stop, "usage": usage}).encode()


def events_of(*content: Json, stop: str, output: int = 7) -> bytes:
    """The same answer as a stream."""
    usage = {"input_tokens": 10, "cache_read_input_tokens": 2, "output_tokens": 1}
    events: list[Json] = [{"type": "message_start", "message": {"model": "up", "usage": usage}}]

    def delta(index: int, kind: str, member: str, value: Any) -> Json:
        return {
            "type": "content_block_delta",
            "index": index,
            "delta": {"type": kind, member: value},
        }

    for index, block in enumerate(content):
        start, deltas = dict(block), []
        if block["type"] == "text":
            start = {"type": "text", "text": ""}
            deltas = [delta(index, "text_delta", "text", block["text"])]
            deltas += [
                delta(index, "citations_delta", "citation", c) for c in block.get("citations", ())
            ]
        elif block["type"] == "thinking":
            start = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [
                delta(index, "thinking_delta", "thinking", block["thinking"]),
                delta(index, "signature_delta", "signature", block["signature"]),
            ]
        elif block["type"].endswith("tool_use"):
            start["input"] = {}
            whole = json.dumps(block["input"])
            deltas = [
                delta(index, "input_json_delta", "partial_json", part)
                for part in (whole[:4], whole[4:])
            ]
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        events += [*deltas, {"type": "content_block_stop", "index": index}]
    events.append(
        {
            "type": "message_delta",
            "delta": {"stop_reason": stop},
            "usage": {"output_tokens": output},
        }
    )
    events.append({"type": "message_stop"})
    return b"".join(encode_event(event["type"], json.dumps(event).encode()) for event in events)


def streamed(made: ChatOnMessages, *legs: bytes) -> tuple[list[Json], ChatStream]:
    """The chunks that the client gets of answers, between which the turn is resumed."""
    sent = b""
    for index, leg in enumerate(legs):
        if index:
            assert made.resume() is not None
        stream = made.stream()
        sent += stream.feed(leg) + stream.close()
        assert stream.finished
        assert stream.failure is None
    datas = [event.data for event in SSEDecoder().feed(sent)]
    assert datas[-1] == b"[DONE]"
    assert datas.count(b"[DONE]") == 1
    return [json.loads(data) for data in datas[:-1]], stream


def test_one_answer_is_made_of_both() -> None:
    made = bridge(stream=False)
    made.reply(body_of(THOUGHT, SEARCH, FOUND, CITED, stop="pause_turn"))
    asked = json.loads(made.resume() or b"")
    assert asked["messages"][-1] == {
        "role": "assistant",
        "content": [THOUGHT, SEARCH, FOUND, CITED],
    }
    assert asked["messages"][:-1][0]["role"] == "user"
    assert asked["max_tokens"] == 493
    reply = made.reply(body_of(END, stop="end_turn", output=3))
    assert made.resume() is None
    whole = json.loads(reply.body)
    (choice,) = whole["choices"]
    assert choice["message"]["content"] == "It floats."
    assert choice["message"]["reasoning_content"] == "Hm."
    assert choice["finish_reason"] == "stop"
    assert whole["usage"]["prompt_tokens"] == 24
    assert whole["usage"]["completion_tokens"] == 10
    assert reply.usage is not None
    assert (reply.usage.input, reply.usage.cache_read, reply.usage.output) == (20, 4, 10)


def test_one_stream_is_made_of_both() -> None:
    made = bridge(stream=True)
    first = events_of(THOUGHT, SEARCH, FOUND, CITED, stop="pause_turn")
    chunks, last = streamed(made, first, events_of(END, stop="end_turn", output=3))
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas) == "It floats."
    assert [delta["role"] for delta in deltas if "role" in delta] == ["assistant"]
    finishes = [c["choices"][0]["finish_reason"] for c in chunks if c["choices"]]
    assert [finish for finish in finishes if finish] == ["stop"]
    assert (chunks[-1]["usage"]["prompt_tokens"], chunks[-1]["usage"]["completion_tokens"]) == (
        24,
        10,
    )
    usage = last.usage
    assert usage is not None
    assert (usage.input, usage.cache_read, usage.output) == (20, 4, 10)


@pytest.mark.parametrize("stream", [True, False])
def test_the_upstream_gets_back_what_it_said(stream: bool) -> None:
    made = bridge(stream)
    content = (THOUGHT, SEARCH, FOUND, CITED)
    if stream:
        made.stream().feed(events_of(*content, stop="pause_turn"))
    else:
        made.reply(body_of(*content, stop="pause_turn"))
    assert json.loads(made.resume() or b"")["messages"][-1]["content"] == list(content)
    if stream:
        made.stream().feed(events_of(SEARCH, stop="pause_turn"))
    else:
        made.reply(body_of(SEARCH, stop="pause_turn"))
    again = json.loads(made.resume() or b"")
    assert again["messages"][-1]["content"] == [*content, SEARCH]
    assert len(again["messages"]) == 2
    assert again["max_tokens"] == 486


@given(st.lists(st.integers(0, 5_000), max_size=5))
def test_however_the_bytes_come(cuts: list[int]) -> None:
    data = events_of(THOUGHT, SEARCH, FOUND, CITED, stop="pause_turn")
    made = bridge(stream=True)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    stream = made.stream()
    for start, end in itertools.pairwise(edges):
        stream.feed(data[start:end])
    asked = json.loads(made.resume() or b"")
    assert asked["messages"][-1]["content"] == [THOUGHT, SEARCH, FOUND, CITED]


@pytest.mark.parametrize("stream", [True, False])
def test_a_turn_that_never_ends_is_not_taken_for_a_whole_one(stream: bool) -> None:
    made, finish = bridge(stream), None
    for leg in range(RESUMES_MAX + 1):
        assert leg == 0 or made.resume() is not None
        if stream:
            sent = made.stream().feed(events_of(SEARCH, stop="pause_turn"))
            assert bool(sent) == (leg == RESUMES_MAX), "only the last one tells an end"
        else:
            choices = json.loads(made.reply(body_of(SEARCH, stop="pause_turn")).body)["choices"]
            finish = choices[0]["finish_reason"]
    assert made.resume() is None
    assert (b'"finish_reason":"length"' in sent) if stream else finish == "length"


def test_a_turn_is_kept_up_to_a_bound_over_all_its_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "HELD_BYTES_MAX", 3_000)
    words = "sent more than 3000 bytes of a turn that it may pause"
    made = bridge(stream=False)
    for _ in range(3):
        made.reply(body_of({**FOUND, "of_tomorrow": "x" * 700}, stop="pause_turn"))
        assert made.resume() is not None
    with pytest.raises(GatewayError, match=words) as caught:
        made.reply(body_of({**FOUND, "of_tomorrow": "x" * 700}, stop="pause_turn"))
    assert caught.value.code is ErrorCode.UPSTREAM_FAILED
    streaming = bridge(stream=True)
    streaming.stream().feed(events_of(THOUGHT, SEARCH, stop="pause_turn"))
    assert streaming.resume() is not None
    stream = streaming.stream()
    ping = encode_event("ping", b'{"type":"ping"}')
    sent = stream.feed(ping * 40)
    assert stream.failure is not None
    assert words in stream.failure.message
    assert sent.count(b'"error"') == 1


def test_without_a_tool_of_the_upstream_s_a_pause_is_no_clean_stop_either() -> None:
    made = bridge(stream=False, web_search_options=None)
    whole = json.loads(made.reply(body_of(END, stop="pause_turn")).body)
    assert whole["choices"][0]["finish_reason"] == "length"
    assert made.resume() is None


def test_a_pause_at_the_limit_asks_for_one_token_at_least() -> None:
    made = bridge(stream=False)
    made.reply(body_of(SEARCH, stop="pause_turn", output=500))
    assert json.loads(made.resume() or b"")["max_tokens"] == 1


def test_an_input_that_is_no_json_cannot_be_said_again() -> None:
    stream = bridge(stream=True).stream()
    sent = stream.feed(events_of(SEARCH, stop="pause_turn").replace(b'"x', b"x"))
    assert stream.failure is not None
    assert stream.failure.code is ErrorCode.UPSTREAM_FAILED
    assert b'"error"' in sent
    assert not stream.finished


def test_an_event_that_is_newer_than_the_gateway_is_said_again_once() -> None:
    hologram = {"type": "hologram", "id": {"of": "tomorrow"}, "name": 3}
    made = bridge(stream=True)
    made.stream().feed(events_of(hologram, SEARCH, stop="pause_turn"))
    assert json.loads(made.resume() or b"")["messages"][-1]["content"] == [hologram, SEARCH]
