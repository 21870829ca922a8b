"""A client at the other end of a connection in memory; it insists on the rules of HTTP/1.1."""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httptools

from tollbridge.app.ports import Clock
from tollbridge.server.connection import Connection
from tollbridge.server.site import Patience, Serve, Site
from tollbridge.units import BODY_BYTES_MAX_DEFAULT, Millis


@dataclass(frozen=True)
class Answer:
    """What came back; header names are lower case, of repeated ones all are kept."""

    status: int
    lines: Sequence[tuple[str, str]]
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        """By name; a name that stands twice is a failure of the server."""
        assert len({name for name, _ in self.lines}) == len(self.lines), self.lines
        return dict(self.lines)

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class AnswerStream:
    """The answers on one connection. What is no answer, or follows the last one, is an error."""

    def __init__(self, *, head_only: bool = False) -> None:
        self.whole: list[Answer] = []
        """Those that have ended. An interim one (1xx) counts."""
        self.raw = b""
        self._head_only = head_only
        self._parser = httptools.HttpResponseParser(self)
        self._open = False
        self._lines: list[tuple[str, str]] = []
        self._body = b""

    @property
    def body(self) -> bytes:
        """Of the answer under way, so far."""
        return self._body

    def feed(self, data: bytes) -> None:
        """What came from the server."""
        self.raw += data
        self._parser.feed_data(data)

    def close(self) -> None:
        """The server has closed. An answer without a length ends so, and no other."""
        if self._open:
            names = {name for name, _ in self._lines}
            assert not names & {"content-length", "transfer-encoding"}, "cut in its middle"
            self._end()

    def on_message_begin(self) -> None:
        self._open, self._lines, self._body = True, [], b""

    def on_header(self, name: bytes, value: bytes) -> None:
        assert name == name.lower()
        assert all(0x20 <= byte < 0x7F for byte in name + value), (name, value)
        self._lines.append((name.decode(), value.decode()))

    def on_headers_complete(self) -> None:
        if self._head_only:
            # The parser cannot know that no body follows: whatever does is put to the test here.
            assert self.raw.endswith(b"\r\n\r\n"), "a body after HEAD"
            assert self.raw.count(b"\r\n\r\n") == 1
            self._end()

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if self._open:
            self._end()

    def _end(self) -> None:
        self._open = False
        self.whole.append(Answer(self._parser.get_status_code(), tuple(self._lines), self._body))


class MemoryTransport(asyncio.Transport):
    """A server's end of a connection. `unsent` is what a client that reads nothing leaves."""

    def __init__(self, protocol: asyncio.BaseProtocol, answers: AnswerStream) -> None:
        super().__init__()
        self.answers = answers
        self.calls: list[str] = []
        self.unsent = 0
        self.heard = asyncio.Event()
        """Set when something has come from the server, or its end."""
        self.closed = False
        self.protocol = protocol

    def receive(self, data: bytes) -> None:
        """What the client has sent, given to whoever has the transport as a loop does it."""
        while data:
            protocol, count = self.protocol, len(data)
            if isinstance(protocol, asyncio.BufferedProtocol):
                room = protocol.get_buffer(count)
                count = min(count, len(room))
                assert count, "no room in the buffer"
                memoryview(room)[:count] = data[:count]
                protocol.buffer_updated(count)
            else:
                assert isinstance(protocol, asyncio.Protocol)
                protocol.data_received(data)
            data = data[count:]

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self.answers.feed(bytes(data))
        self.heard.set()

    def writelines(self, pieces: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(pieces))

    def write_eof(self) -> None:
        self.calls.append("write_eof")
        self.heard.set()

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.calls.append("close")
        self._lose()

    def abort(self) -> None:
        self.calls.append("abort")
        self._lose()

    def _lose(self) -> None:
        if not self.closed:
            self.closed = True
            self.heard.set()
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)


class WireClient:
    """Both ends of one connection of a site."""

    def __init__(
        self,
        serve: Serve,
        *,
        clock: Clock = lambda: Millis(0),
        body_bytes_max: int = BODY_BYTES_MAX_DEFAULT,
        patience: Patience = Patience(),  # noqa: B008 - a tuple does not change
        head_only: bool = False,
    ) -> None:
        self.site = Site(serve, clock, body_bytes_max, patience=patience)
        self.connection = Connection(self.site)
        self.answers = AnswerStream(head_only=head_only)
        self.transport = MemoryTransport(self.connection, self.answers)
        self.connection.connection_made(self.transport)

    def send(self, data: bytes) -> None:
        """Bytes of a request."""
        if not self.transport.closed:
            self.transport.receive(data)

    def leave(self) -> None:
        """Break the connection."""
        self.transport.abort()

    async def answer(self, number: int = 1) -> Answer:
        """The answer of this number, counted from one; waits for its end."""
        while len(self.answers.whole) < number:
            assert not self.transport.closed, "closed without an answer"
            self.transport.heard.clear()
            await asyncio.wait_for(self.transport.heard.wait(), 10)
        return self.answers.whole[number - 1]

    async def ended(self) -> None:
        """Until the connection is closed and its last request is done with."""
        while self.site.connections:  # noqa: ASYNC110 - a test polls
            await asyncio.sleep(0)


def request_bytes(
    method: str,
    path: str,
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    *,
    query: str = "",
) -> bytes:
    """A head without its empty line."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    target = quote(path, safe="/%:", errors="surrogateescape") + ("?" + query if query else "")
    named = {name.lower() for name, _ in pairs}
    lines = [f"{method} {target} HTTP/1.1", *([] if "host" in named else ["host: test"])]
    lines += [f"{name}: {value}" for name, value in pairs]
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1")


async def call(
    serve: Serve,
    method: str,
    path: str,
    body: bytes | Iterable[bytes] = b"",
    *,
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    query: str = "",
    leaves: bool = False,
    body_bytes_max: int = BODY_BYTES_MAX_DEFAULT,
) -> Answer:
    """One request to its end. A body of several parts arrives chunked; with `leaves` the client
    goes away after them, before the end of its body. Status 0: there was no answer.
    """
    client = WireClient(serve, body_bytes_max=body_bytes_max, head_only=method == "HEAD")
    head = request_bytes(method, path, headers, query=query)
    if isinstance(body, bytes):
        length = len(body) + leaves
        client.send(head + b"content-length: %d\r\n\r\n" % length + body)
    else:
        client.send(head + b"transfer-encoding: chunked\r\n\r\n")
        for part in body:
            await asyncio.sleep(0)
            if part:
                client.send(b"%x\r\n%b\r\n" % (len(part), part))
        if not leaves:
            client.send(b"0\r\n\r\n")
    if leaves:
        await asyncio.sleep(0)
        client.leave()
        await client.ended()
        return Answer(0, (), client.answers.raw)
    answer = await client.answer()
    await asyncio.sleep(0)
    assert client.answers.whole == [answer], "one answer to one request"
    client.leave()
    await client.ended()
    return answer
