"""Any bytes are an HTTP response, or `UpstreamError`; what is kept is never more than was fed."""

from fuzz.target import Target
from tollbridge.app.ports import UpstreamError
from tollbridge.upstream.response import Response

Outcome = tuple[int, dict[str, str], bytes, bool, bool]


def fed(pieces: list[bytes], *, bodyless: bool) -> Outcome | None:
    """What comes out of a response that arrives in these pieces and ends; None: an error."""
    response = Response(bodyless=bodyless)
    body = b""
    try:
        for piece in pieces:
            if piece and not response.ended:
                response.feed(piece)
                body += response.take()
        if not response.ended:
            response.feed_eof()
    except UpstreamError as error:
        assert error.sent
        return None
    finally:
        response.close()
    assert response.head_done
    return response.status, response.headers, body, response.ended, response.reusable


def check(data: bytes) -> None:
    """Whole, again and cut; where both are whole, head and body agree."""
    bodyless = sum(data[:16]) % 8 == 0
    whole = fed([data], bodyless=bodyless)
    assert fed([data], bodyless=bodyless) == whole
    cut = len(data) // 2
    parts = fed([data[:cut], data[cut:]], bodyless=bodyless)
    if whole is None:
        return
    status, headers, body, *_ = whole
    assert 100 <= status <= 999
    assert sum(len(name) + len(value) for name, value in headers.items()) <= 2 * len(data)
    assert len(body) <= len(data)
    # Bytes after the end are seen only where they come along with the end; they change nothing
    # but whether the connection is used again.
    assert parts is not None
    assert parts[:3] == whole[:3]


HEAD = b"HTTP/1.1 200 OK\r\n"
TARGET = Target(
    check,
    [
        HEAD + b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5;x=1\r\nhello\r\n3\r\n ab\r\n0\r\nt: 1\r\n\r\n",
        HEAD + b"content-length: 5\r\nconnection: close\r\n\r\nhello",
        b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + HEAD + b"content-length: 0\r\n\r\n",
        b"HTTP/1.0 503 Busy\r\nretry-after: 1\r\n\r\nuntil the end",
        b"HTTP/1.1 204 No Content\r\n\r\n",
    ],
)
