"""Any bytes in any pieces give the same events; only an event that is too long is refused."""

from fuzz.corpus import CHAT_STREAM, MESSAGES_STREAM
from fuzz.target import Target
from tollbridge.wire.sse import SSEDecoder, SSEEvent


def events(pieces: list[bytes]) -> list[SSEEvent]:
    """What the decoder makes of a stream in these pieces."""
    decoder = SSEDecoder()
    found = [event for piece in pieces for event in decoder.feed(piece)]
    return found + decoder.close()


def check(data: bytes) -> None:
    """Whole, cut, and byte by byte."""
    whole = events([data])
    cut = len(data) // 2
    assert events([data[:cut], data[cut:]]) == whole
    assert events([data[at : at + 1] for at in range(len(data))]) == whole
    assert sum(len(event.data) for event in whole) <= len(data)
    for event in whole:
        assert b"\r" not in event.data


TARGET = Target(
    check,
    [
        MESSAGES_STREAM,
        CHAT_STREAM,
        b"\xef\xbb\xbfdata: a\r\ndata:b\r\n\r\n: comment\n\nevent: x\rdata\r\r",
        b"data: \xe2\x80\xa8\n\n",
        b"id: 1\nretry: 5\nevent:\ndata:  two spaces\n\ndata: no blank line",
    ],
)
