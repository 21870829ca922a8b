"""Streams over plain sockets, for tests that look at what arrives byte by byte."""

import json
import re
import socket
from urllib.parse import urlsplit

from tests.e2e.gateway import Gateway

TIMEOUT_S = 30
LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n")


def open_stream(
    gateway: Gateway, body: object, path: str = "/v1/messages", *, missing: int = 0
) -> socket.socket:
    """Send a request on a connection of its own, except for the last bytes if some are to miss."""
    parts = urlsplit(gateway.base_url)
    assert parts.hostname is not None
    stream = socket.create_connection((parts.hostname, parts.port or 80), timeout=TIMEOUT_S)
    sent = json.dumps(body).encode()
    head = (
        f"POST {parts.path}{path} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {gateway.key}\r\ncontent-length: {len(sent) + missing}\r\n"
    )
    if missing:
        head += "expect: 100-continue\r\n"
    stream.sendall(f"{head}\r\n".encode() + sent)
    return stream


def read_until(stream: socket.socket, mark: bytes) -> bytes:
    """What has arrived once the mark is in it."""
    seen = b""
    while mark not in seen:
        data = stream.recv(65536)
        assert data, f"the stream ended before {mark!r}: {seen[-500:]!r}"
        seen += data
    return seen


def read_rest(stream: socket.socket) -> bytes:
    """The rest of an answer: to its last chunk, or, one that came whole, as long as it says."""
    seen = b""
    while not (seen.endswith(b"\r\n0\r\n\r\n") or _is_as_long_as_it_says(seen)):
        data = stream.recv(65536)
        assert data, f"the answer was cut short: {seen[-500:]!r}"
        seen += data
    return seen


def _is_as_long_as_it_says(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    said = LENGTH.search(head + b"\r\n")
    return bool(end) and said is not None and len(body) >= int(said[1])
