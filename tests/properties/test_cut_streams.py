"""Streams of all four pairs: whole, byte by byte, cut at every offset, and of no sense at all.

However the bytes come, the client gets the same; a stream that ends before its end is an error in
the client's words, and nothing ever raises.
"""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.properties.upstream_answers import (
    PAIRS,
    Said,
    answers,
    last_error,
    open_for,
    relayed,
    wire,
)

from tollbridge.config import Protocol
from tollbridge.errors import ErrorCode
from tollbridge.wire.sse import SSEDecoder

SAID = Said(
    thoughts=["wh\u00e9", "y"],
    texts=["Hi\u2028", "\u4f60\u597d"],
    calls=[['{"a":', ' "\u00e9"}'], ["{}"]],
    finish="whole",
    refusal=False,
    prompt=9,
    cached=3,
    output=7,
    interleaved=True,
    signed=True,
)
LAST = {"messages": b'data: {"type":"message_stop"}', "chat": b'"finish_reason":"tool_calls"'}
"""What an upstream's stream is whole after: Chat servers may leave out `[DONE]`."""


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@given(said=answers(), line_end=st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_byte_by_byte_is_the_same_as_whole(
    client: Protocol, upstream: Protocol, said: Said, line_end: bytes
) -> None:
    data = wire(upstream, said).replace(b"\n", line_end)
    whole = relayed(open_for(client, upstream, stream=True), data, [])
    pieces = relayed(open_for(client, upstream, stream=True), data, [*range(len(data))])
    assert pieces == whole
    assert last_error(client, whole) is None


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_cut_at_every_offset_it_ends_in_a_true_error(client: Protocol, upstream: Protocol) -> None:
    data = wire(upstream, SAID)
    enough = data.index(LAST[upstream]) + len(LAST[upstream])
    bridge = open_for(client, upstream, stream=True)
    for end in range(len(data)):
        stream = bridge.stream()
        written = stream.feed(data[:end]) + stream.close()
        assert stream.finished == (stream.failure is None)
        error = last_error(client, written)
        if stream.finished:
            assert end >= enough
            assert error is None
        else:
            assert stream.failure is not None
            assert stream.failure.code in (
                ErrorCode.UPSTREAM_TRUNCATED,
                ErrorCode.UPSTREAM_FAILED,
            )
            assert error is not None
            assert error["error"]["message"] == stream.failure.message
            assert b"[DONE]" not in written
            assert b"message_stop" not in written
        assert stream.feed(data) == stream.close() == b""


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@given(data=st.data(), said=answers())
def test_damaged_streams_end_once(
    client: Protocol, upstream: Protocol, data: st.DataObject, said: Said
) -> None:
    """Bytes are exchanged, left out and doubled; what goes out is still framed and ends once."""
    whole = wire(upstream, said)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(whole)))
        drop = data.draw(st.integers(0, 30))
        put = data.draw(
            st.binary(max_size=6)
            | st.sampled_from([b"\n\n", b"null", b'"x"', b"[]", b"{", b"data: [DONE]\n\n"])
        )
        whole = whole[:at] + put + whole[at + drop :]
    stream = open_for(client, upstream, stream=True).stream()
    written = stream.feed(whole) + stream.close()
    assert stream.finished or stream.failure is not None
    events = SSEDecoder().feed(written)
    assert sum(event.event == "message_stop" for event in events) <= 1
    assert sum(event.event == "error" for event in events) <= 1
    assert stream.feed(b"data: {}\n\n") == stream.close() == b""


@given(st.lists(st.binary(max_size=40), max_size=5), st.sampled_from(PAIRS))
def test_bytes_without_sense_end_in_an_error(
    pieces: list[bytes], pair: tuple[Protocol, Protocol]
) -> None:
    stream = open_for(*pair, stream=True).stream()
    written = b"".join(map(stream.feed, pieces)) + stream.close()
    assert stream.failure is not None
    assert last_error(pair[0], written) is not None


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_the_decoder_gives_the_same_events_however_its_bytes_are_cut(
    data: bytes, cuts: list[int]
) -> None:
    whole = SSEDecoder()
    expected = [*whole.feed(data), *whole.close()]
    decoder = SSEDecoder()
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    events = [event for a, b in itertools.pairwise(edges) for event in decoder.feed(data[a:b])]
    assert [*events, *decoder.close()] == expected
