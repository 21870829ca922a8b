"""What all streams share, by the stream that adds least to it."""

import pytest

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.bridge import Ask, Identity
from tollbridge.translate.chat_identity import ChatRelay
from tollbridge.units import EVENT_BYTES_MAX

ASK = Ask(model="m", stream=True, max_tokens=None, thinking=False)


def relay() -> ChatRelay:
    return ChatRelay(ASK, Identity("req_1", "abc", 0))


def event(text: str, finish: str = "null") -> bytes:
    choice = f'{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":{finish}}}'
    return f'data: {{"model":"m","choices":[{choice}]}}\n\n'.encode()


DONE = b"data: [DONE]"


def test_events_go_through_until_the_end() -> None:
    stream = relay()
    first, second = event("a"), event("b")
    assert stream.feed(first + second[:-1]) == first
    rest = stream.feed(b"\n" + DONE + b"\n\n" + event("c"))
    assert rest.startswith(second)
    assert rest.endswith(DONE + b"\n\n")
    assert stream.feed(event("d")) == b""
    assert stream.close() == b""
    assert stream.failure is None


def test_the_end_may_come_without_a_blank_line() -> None:
    stream = relay()
    assert stream.feed(DONE) == b""
    assert stream.close().endswith(DONE + b"\n\n")
    assert stream.failure is None


def test_a_stream_may_be_whole_without_its_end() -> None:
    stream = relay()
    stream.feed(event("a", finish='"stop"'))
    assert stream.close().endswith(DONE + b"\n\n")
    assert stream.failure is None


def test_else_it_was_cut() -> None:
    stream = relay()
    assert b'"stream_truncated"' in stream.close()
    assert stream.failure is not None
    assert stream.failure.code is ErrorCode.UPSTREAM_TRUNCATED


def test_an_endless_event_is_a_failure() -> None:
    stream = relay()
    assert b'"error"' in stream.feed(b"x" * (EVENT_BYTES_MAX + 1))
    assert stream.failure is not None
    assert stream.failure.code is ErrorCode.UPSTREAM_FAILED


def test_only_the_first_failure_is_told() -> None:
    stream = relay()
    first = GatewayError(ErrorCode.UPSTREAM_TIMEOUT, "Too late.")
    assert b"Too late." in stream.fail(first)
    assert stream.fail(GatewayError(ErrorCode.INTERNAL, "No.")) == b""
    assert stream.failure is first


@pytest.mark.parametrize(("text", "tokens"), [("abcdefgh", 2), ("汉字汉字", 3)])
def test_counting_knows_wide_characters(text: str, tokens: int) -> None:
    stream = relay()
    stream.feed(event(text))
    assert stream.counted_output == tokens


def test_broken_utf8_from_an_upstream_ends_the_stream_in_an_error():
    stream = relay()
    sent = stream.feed(b'data: {"\xff":1}\n\n')
    assert stream.failure is not None
    assert stream.failure.code is ErrorCode.UPSTREAM_FAILED
    assert b'"error"' in sent
