"""A tiny HTTP/1.1 server for scripted upstreams: CPU-cheap, strict about what it is sent.

An upstream is a pure function from a `Request` to a `Reply`; this file moves the bytes. Run it in
the test's event loop (`async with serving(...)`), in a thread (`with serving_in_thread(...)`) or in
a process of its own (`python -m tests.fakes.chat_upstream`).
"""

import asyncio
import contextlib
import json
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, cast

REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}
JSON_TYPE = "application/json"
EVENT_TYPE = "text/event-stream; charset=utf-8"


@dataclass(frozen=True)
class Request:
    """What arrived: header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What to answer: one piece is sent with a length, a stream is chunked, piece by piece."""

    status: int
    pieces: tuple[bytes, ...]
    content_type: str = JSON_TYPE
    headers: tuple[tuple[str, str], ...] = ()
    pace_s: float = 0.0
    """Silence before every piece but the first."""
    ending: Literal["clean", "cut"] = "clean"
    """`cut` closes the connection before the end of the body."""

    @classmethod
    def of_json(cls, status: int, value: object, **headers: str) -> "Reply":
        """A one-shot answer."""
        named = tuple((name.replace("_", "-"), text) for name, text in headers.items())
        return cls(status, (json.dumps(value, ensure_ascii=False).encode(),), headers=named)

    @property
    def head(self) -> bytes:
        """Status line and headers."""
        lines = [f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Status')}"]
        lines += [f"content-type: {self.content_type}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.content_type == EVENT_TYPE:
            lines += ["transfer-encoding: chunked", "cache-control: no-cache"]
        else:
            lines += [f"content-length: {len(self.pieces[0])}"]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


Answer = Callable[[Request], Reply]


@dataclass
class FakeUpstream:
    """An answer function, where it listens, and everything it was asked."""

    answer: Answer
    record: bool = True
    """Off under load: answers are then remembered by request and rendered once."""
    requests: list[Request] = field(default_factory=list)
    disconnects: int = 0
    """Streams that the client left before their end."""
    root_url: str = ""
    connections: set[asyncio.Transport] = field(default_factory=set, repr=False)
    _rendered: dict[tuple[str, bytes], Reply] = field(default_factory=dict, repr=False)

    def reply(self, request: Request) -> Reply:
        """Answer, and remember."""
        if self.record:
            self.requests.append(request)
            return self.answer(request)
        key = (request.path, request.body)
        reply = self._rendered.get(key)
        if reply is None:
            reply = self._rendered[key] = self.answer(request)
        return reply


class _Connection(asyncio.Protocol):
    """One connection: requests are answered one after another."""

    def __init__(self, upstream: FakeUpstream) -> None:
        self.upstream = upstream
        self.buffer = bytearray()
        self.transport: asyncio.Transport | None = None
        self.writing: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods of the type, but are no subclass of it.
        self.transport = cast("asyncio.Transport", transport)
        self.upstream.connections.add(self.transport)

    def connection_lost(self, _: Exception | None) -> None:
        assert self.transport is not None
        self.upstream.connections.discard(self.transport)
        if self.writing is not None and not self.writing.done():
            self.upstream.disconnects += 1
            self.writing.cancel()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.writing is None or self.writing.done():
            self._next()

    def _next(self) -> None:
        assert self.transport is not None
        while (request := self._take()) is not None:
            reply = self.upstream.reply(request)
            if reply.content_type != EVENT_TYPE:
                whole = reply.head + reply.pieces[0]
                if reply.ending == "cut":
                    self.transport.write(whole[: -len(reply.pieces[0]) // 2])
                    self.transport.close()
                    return
                self.transport.write(whole)
            elif reply.pace_s == 0 and reply.ending == "clean":
                self.transport.write(
                    reply.head + b"".join(map(_framed, reply.pieces)) + b"0\r\n\r\n"
                )
            else:
                self.writing = asyncio.ensure_future(self._stream(reply))
                return

    def _take(self) -> Request | None:
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        start, *lines = self.buffer[:end].decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        method, path, _ = start.split(" ")
        rest = end + 4
        if headers.get("transfer-encoding", "").lower() == "chunked":
            taken = _dechunk(self.buffer, rest)
            if taken is None:
                return None
            body, size = taken
        else:
            size = int(headers.get("content-length", "0"))
            if len(self.buffer) < rest + size:
                return None
            body = bytes(self.buffer[rest : rest + size])
        del self.buffer[: rest + size]
        return Request(method, path, headers, body)

    async def _stream(self, reply: Reply) -> None:
        assert self.transport is not None
        self.transport.write(reply.head)
        for index, piece in enumerate(reply.pieces):
            if index and reply.pace_s:
                await asyncio.sleep(reply.pace_s)
            self.transport.write(_framed(piece))
        if reply.ending == "cut":
            # Let the pieces reach the client before the connection breaks.
            await asyncio.sleep(0.02)
            self.transport.close()
            return
        self.transport.write(b"0\r\n\r\n")
        self.writing = None
        self._next()


def _framed(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def _dechunk(buffer: bytearray, start: int) -> tuple[bytes, int] | None:
    """The body and its size on the wire, or None while it is incomplete."""
    body, position = b"", start
    while True:
        line_end = buffer.find(b"\r\n", position)
        if line_end < 0:
            return None
        size = int(buffer[position:line_end].split(b";")[0], 16)
        data_end = line_end + 2 + size
        if len(buffer) < data_end + 2:
            return None
        body += buffer[line_end + 2 : data_end]
        position = data_end + 2
        if size == 0:
            return bytes(body), position - start


@contextlib.asynccontextmanager
async def serving(
    answer: Answer, *, record: bool = True, port: int = 0
) -> AsyncIterator[FakeUpstream]:
    """Serve in the running event loop."""
    upstream = FakeUpstream(answer, record)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(upstream), "127.0.0.1", port)
    upstream.root_url = "http://127.0.0.1:{1}".format(*server.sockets[0].getsockname())
    try:
        yield upstream
    finally:
        server.close()
        for transport in tuple(upstream.connections):
            transport.abort()


@contextlib.contextmanager
def serving_in_thread(
    answer: Answer, *, record: bool = True, port: int = 0
) -> Iterator[FakeUpstream]:
    """Serve from a thread, for synchronous clients and subprocesses."""
    ready: asyncio.Queue[FakeUpstream] = asyncio.Queue()
    started = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def run() -> None:
        async with serving(answer, record=record, port=port) as upstream:
            ready.put_nowait(upstream)
            started.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),), daemon=True)
    thread.start()
    assert started.wait(10), "the fake upstream did not start"
    try:
        yield ready.get_nowait()
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def serve_forever(answer: Answer, listener: socket.socket) -> None:
    """Serve from this process until it is ended; nothing is recorded."""
    import uvloop

    async def run() -> None:
        upstream = FakeUpstream(answer, record=False)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Connection(upstream), sock=listener)
        await server.serve_forever()

    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(run())


def serve_command(answer: Answer) -> None:
    """What `python -m tests.fakes.<upstream>` does: print the address, then serve until ended."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    print(json.dumps({"root_url": "http://127.0.0.1:{1}".format(*listener.getsockname())}))
    sys.stdout.flush()
    serve_forever(answer, listener)
