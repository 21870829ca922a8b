"""The decoder is tested whole, byte by byte and cut; the encoders against the decoder."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.units import EVENT_BYTES_MAX
from tollbridge.wire.sse import (
    COMMENT_HEARTBEAT,
    SSEDecoder,
    SSEEvent,
    encode_data,
    encode_event,
)


def decode(*pieces: bytes) -> list[SSEEvent]:
    decoder = SSEDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.close()


def bytewise(stream: bytes) -> list[SSEEvent]:
    return decode(*(stream[i : i + 1] for i in range(len(stream))))


CASES = [
    (b"data: 1\n\n", [(None, b"1")]),
    (b"data:1\n\n", [(None, b"1")]),
    (b"data:  1 \n\n", [(None, b" 1 ")]),
    (b"event: ping\ndata: {}\n\n", [("ping", b"{}")]),
    (b"event:ping\ndata:{}\n\n", [("ping", b"{}")]),
    (b"data: {}\nevent: ping\n\n", [("ping", b"{}")]),
    (b"event: a\nid: 7\nretry: 9\ndata: x\n\n", [("a", b"x")]),
    (b"data: a\ndata: b\n\n", [(None, b"a\nb")]),
    (b"event: e\ndata: a\ndata: b\n\n", [("e", b"a\nb")]),
    (b": comment\n\ndata: x\n\n", [(None, b"x")]),
    (b": comment\ndata: x\n\n", [(None, b"x")]),
    (b"event: lonely\n\ndata: x\n\n", [(None, b"x")]),
    (b"data:\n\ndata: x\n\n", [(None, b"x")]),
    (b"\n\n\n\ndata: x\n\n\n\n\ndata: y\n\n", [(None, b"x"), (None, b"y")]),
    (b"\xef\xbb\xbfdata: x\n\n", [(None, b"x")]),
    (b"\xef\xbb\xbfdata: x", [(None, b"x")]),
    (b"data: x\n\ndata: [DONE]", [(None, b"x"), (None, b"[DONE]")]),
    (b"data: x\n\ndata: [DONE]\n", [(None, b"x"), (None, b"[DONE]")]),
    (b"", []),
    (b"\n", []),
    (b"nonsense\n\n", []),
]


@pytest.mark.parametrize(("stream", "expected"), CASES)
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_framing_whole_and_byte_by_byte(
    stream: bytes, expected: list[tuple[str | None, bytes]], line_end: bytes
) -> None:
    wire = stream.replace(b"\n", line_end)
    assert decode(wire) == expected
    assert bytewise(wire) == expected


@given(
    texts=st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=5),
    line_end=st.sampled_from([b"\n", b"\r\n", b"\r"]),
    data=st.data(),
)
def test_any_cut_gives_the_same_events(
    texts: list[str], line_end: bytes, data: st.DataObject
) -> None:
    expected = [SSEEvent("delta", json.dumps(text, ensure_ascii=False).encode()) for text in texts]
    wire = b"".join(encode_event("delta", event.data) for event in expected)
    wire = wire.replace(b"\n", line_end)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(wire)), max_size=6)))
    pieces = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    assert decode(*pieces) == expected


def test_claude_code_router_1672_characters_are_not_decoded_piecewise() -> None:
    wire = encode_data(json.dumps("漢字🙂", ensure_ascii=False).encode())
    assert [json.loads(event.data) for event in bytewise(wire)] == ["漢字🙂"]


def test_praxis_739_crlf_and_data_without_a_space() -> None:
    assert decode(b"data:{}\r\n\r\n") == [(None, b"{}")]


def test_ccs_1359_a_crlf_cut_in_two_is_one_line_end() -> None:
    assert decode(b"event: a\r", b"\ndata: x\r", b"\n\r", b"\n") == [("a", b"x")]


def test_codex_lb_1011_only_cr_and_lf_end_lines() -> None:
    separators = '"a\u2028b\u2029c\u0085d\x0be\x0cf"'.encode()
    assert decode(encode_data(separators)) == [(None, separators)]
    assert decode(b"data: x\ndata: " + separators + b"\n\n") == [(None, b"x\n" + separators)]


def test_llm_gateway_2053_comments_are_not_data() -> None:
    assert decode(b": OPENROUTER PROCESSING\n\n", COMMENT_HEARTBEAT) == []


def test_litellm_17473_one_event_in_many_chunks() -> None:
    wire = b'event: x\ndata: {"a": "b"}\n\n'
    for cut in range(1, len(wire)):
        assert decode(wire[:cut], wire[cut:]) == [("x", b'{"a": "b"}')]


def test_blocks_keep_the_bytes() -> None:
    decoder = SSEDecoder()
    assert decoder.blocks(b"id: 1\ndata: x\n\n: c\n\nda") == [b"id: 1\ndata: x", b": c"]
    assert decoder.last_block() == [b"da"]


def test_an_endless_event_is_refused() -> None:
    decoder = SSEDecoder()
    piece = b"x" * (EVENT_BYTES_MAX // 4)
    for _ in range(4):
        assert decoder.feed(piece) == []
    with pytest.raises(GatewayError) as caught:
        decoder.feed(piece)
    assert caught.value.code is ErrorCode.UPSTREAM_FAILED


@pytest.mark.parametrize("tail", [b"", b"\n\n"])
def test_an_overlong_event_in_one_piece_is_refused(tail: bytes) -> None:
    with pytest.raises(GatewayError):
        SSEDecoder().feed(b"data: " + b"x" * EVENT_BYTES_MAX + tail)


def test_many_events_in_one_piece_may_be_long_together() -> None:
    wire = encode_data(b"x" * (EVENT_BYTES_MAX // 2)) * 3
    assert len(SSEDecoder().feed(wire)) == 3
