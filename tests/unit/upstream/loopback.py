"""Servers on the loopback interface that do exactly what a test says, and loops that leak nothing."""

import asyncio
import contextlib
import gc
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import TypeVar

import uvloop

from tollbridge.app.ports import UpstreamRequest
from tollbridge.upstream.connection import Reply
from tollbridge.upstream.http_client import HttpUpstream

T = TypeVar("T")
Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Run = Callable[[Coroutine[None, None, T]], T]

LOOPS = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
GET = UpstreamRequest("GET", "/", (), b"")
POST = UpstreamRequest("POST", "/v1/messages", (("x-api-key", "s3cret"),), b'{"model":"m"}')
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def open_files() -> set[str]:
    """The sockets of this process, as the kernel sees them."""
    links = set()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            links.add(f"{entry.name} {entry.readlink()}")
    return {link for link in links if "socket:" in link}


def run_on(loop_name: str, coroutine: Coroutine[None, None, T]) -> T:
    """Run on a loop of this kind and check that no socket and no timer of it is left."""
    before = open_files() if Path("/proc/self/fd").is_dir() else set()

    gc.freeze()  # what was there before need not be searched for what this leaves behind

    async def bounded() -> T:
        async with asyncio.timeout(10):
            result = await coroutine
        for _ in range(3):
            await asyncio.sleep(0)
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not left, left
        scheduled = getattr(asyncio.get_running_loop(), "_scheduled", [])
        ours = [
            handle
            for handle in scheduled
            if not handle.cancelled() and "tollbridge" in repr(handle)
        ]
        assert not ours, ours
        return result

    with asyncio.Runner(loop_factory=LOOPS[loop_name]) as runner:
        result = runner.run(bounded())
    gc.collect()
    gc.unfreeze()
    if before:
        assert open_files() <= before
    return result


@contextlib.asynccontextmanager
async def serve(
    handle: Handle, *, host: str = "127.0.0.1", port: int = 0, path: str = "", ssl=None
) -> AsyncIterator[int]:
    """Give the port of a server that runs `handle` for each connection and closes it after that;
    with `path` it listens on a Unix socket instead."""
    tasks: set[asyncio.Task[None]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await handle(reader, writer)
                await writer.drain()
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, OSError):
                await writer.wait_closed()
            tasks.discard(task)

    if path:
        server = await asyncio.start_unix_server(one, path, ssl=ssl)
    else:
        server = await asyncio.start_server(one, host, port, ssl=ssl)
    try:
        yield 0 if path else server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
        left = list(tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def client(port: int, **settings) -> AsyncIterator[HttpUpstream]:
    """A client of the loopback server; checks that nothing stays open."""
    base_url = settings.pop("base_url", f"http://127.0.0.1:{port}")
    upstream = HttpUpstream(base_url, **settings)
    try:
        yield upstream
    finally:
        await upstream.close()
    assert (upstream.pool.open, upstream.pool.idle, upstream.pool.waiting) == (0, 0, 0)


async def read_request(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """Head and body of one request."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
    length = next(
        int(line.partition(":")[2])
        for line in head.split("\r\n")
        if line.lower().startswith("content-length:")
    )
    return head, await reader.readexactly(length)


def answering(*pieces: bytes) -> Handle:
    """Reads one request, writes the pieces, each in a segment of its own, and closes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for index, piece in enumerate(pieces):
            if index:
                await asyncio.sleep(0.001)
            writer.write(piece)
            await writer.drain()

    return handle


def repeating(answer: bytes, served: list[int] | None = None) -> Handle:
    """Answers every request of a connection; counts them per connection in `served`."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if served is not None:
            index = len(served)
            served.append(0)
        while True:
            await read_request(reader)
            if served is not None:
                served[index] += 1
            writer.write(answer)

    return handle


def reset(writer: asyncio.StreamWriter) -> None:
    """End the connection with RST instead of FIN."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def read_all(reply: Reply) -> bytes:
    """The rest of the body."""
    body = b""
    while data := await reply.read():
        body += data
    return body


async def fetch(upstream: HttpUpstream, request: UpstreamRequest = POST) -> tuple[int, bytes]:
    """Status and body of one exchange."""
    reply = await upstream.send(request)
    return reply.status, await read_all(reply)


async def until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds; what it looks at has no event to wait for."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.001)
