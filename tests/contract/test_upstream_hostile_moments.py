"""The HTTP client against servers that answer too early or too fast, or leave at the worst moment."""

import asyncio
import socket
import ssl
import tracemalloc

import pytest
from tests.unit.upstream.loopback import (
    OK,
    POST,
    Run,
    answering,
    client,
    fetch,
    read_all,
    read_request,
    reset,
    serve,
    until,
)

from tollbridge.app.ports import UpstreamError, UpstreamRequest
from tollbridge.upstream.connection import BUFFER_BYTES_HIGH
from tollbridge.upstream.response import PIECE_BYTES

CHUNKED = b"HTTP/1.1 200 OK\r\nx: y\r\ntransfer-encoding: chunked\r\n\r\n"
ONE_READ = 256 * 1024
"""The most that either loop reads from a socket at once."""
REFUSED = b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig"
EIGHT_MB = UpstreamRequest("POST", "/", (), b"x" * 8_000_000)


@pytest.mark.parametrize("then", ["waits", "closes", "resets", "reads on"])
@pytest.mark.parametrize("encrypted", [False, True])
def test_early_response_while_the_body_is_being_sent(
    run: Run, then: str, encrypted: bool, tls: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """A server that refuses a body does not read it. Closing with unread bytes makes the kernel
    send a reset, which must not overtake the answer."""

    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        if then != "reads on":
            writer.transport.pause_reading()
        writer.write(REFUSED)
        await writer.drain()
        if then == "waits":
            await asyncio.sleep(10)
        elif then == "resets":
            await asyncio.sleep(0.002)
            reset(writer)
        elif then == "reads on":
            await reader.read()

    async def main():
        server, context = tls if encrypted else (None, None)
        async with serve(handle, ssl=server) as port:
            base_url = f"{'https' if encrypted else 'http'}://localhost:{port}"
            for _ in range(1 if then == "waits" else 10):
                async with client(port, base_url=base_url, ssl_context=context) as upstream:
                    assert await fetch(upstream, EIGHT_MB) == (413, b"big")
                    assert upstream.pool.open == 0

    run(main())


def test_flood_is_held_back(run: Run) -> None:
    total = 24_000_000

    async def main():
        async with (
            serve(
                answering(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % total, b"x" * total)
            ) as port,
            client(port) as upstream,
        ):
            reply = await upstream.send(POST)
            await until(lambda: reply._connection._paused)
            assert not reply._connection._transport.is_reading()
            await asyncio.sleep(0.01)
            assert BUFFER_BYTES_HIGH < reply.response.buffered <= BUFFER_BYTES_HIGH + ONE_READ
            received = largest = 0
            while data := await reply.read():
                received += len(data)
                largest = max(largest, len(data))
            assert received == total
            assert largest <= BUFFER_BYTES_HIGH + ONE_READ

    run(main())


@pytest.mark.parametrize("size", [1, 2, 100])
def test_a_flood_of_tiny_chunks_is_held_back_as_well(run: Run, size: int) -> None:
    """What counts is the memory that pieces take, not their bytes."""
    chunk = b"%x\r\n%b\r\n" % (size, b"x" * size)
    total = 400_000

    async def handle(reader, writer):
        await read_request(reader)
        writer.write(CHUNKED)
        for _ in range(total // 1000):
            writer.write(chunk * 1000)
            await writer.drain()
        writer.write(b"0\r\n\r\n")

    async def main():
        async with serve(handle) as port, client(port) as upstream:
            tracemalloc.start()
            try:
                reply = await upstream.send(POST)
                await until(lambda: reply._connection._paused)
                held = tracemalloc.take_snapshot().filter_traces(
                    [tracemalloc.Filter(True, "*/upstream/*.py")]
                )
            finally:
                tracemalloc.stop()
            # What was there, and one read that is taken apart on top.
            pieces = BUFFER_BYTES_HIGH / (size + PIECE_BYTES) + ONE_READ / len(chunk)
            assert sum(trace.size for trace in held.traces) < pieces * (size + 80) + ONE_READ
            assert len(reply.response.chunks) < pieces + 1000
            assert len(await read_all(reply)) == total * size

    run(main())


def test_aborting_a_paused_stream(run: Run) -> None:
    async def main():
        async with (
            serve(answering(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 8_000_000)) as port,
            client(port) as upstream,
        ):
            reply = await upstream.send(POST)
            await until(lambda: reply._connection._paused)
            reply.abort()
            assert upstream.pool.open == 0
            with pytest.raises(UpstreamError, match="aborted"):
                await reply.read()

    run(main())


@pytest.mark.parametrize("how", ["fin", "rst", "seen"])
def test_stale_connection_is_replaced(run: Run, how: str) -> None:
    """The server ends an idle connection; the end is there, but the loop has not read it yet."""
    writers = []
    bodies = []

    async def handle(reader, writer):
        writers.append(writer)
        while True:
            bodies.append((await read_request(reader))[1])
            writer.write(OK)

    async def main():
        async with serve(handle) as port, client(port) as upstream:
            assert await fetch(upstream) == (200, b"ok")
            assert upstream.pool.idle == 1
            if how == "rst":
                reset(writers[0])
            else:
                # Below the loop's back: a FIN at once, no turn of the loop in between.
                sock = socket.socket(fileno=writers[0].get_extra_info("socket").fileno())
                sock.shutdown(socket.SHUT_WR)
                sock.detach()
            if how != "fin":
                await asyncio.sleep(0.01)
            assert await fetch(upstream) == (200, b"ok")
            assert len(writers) == 2
            assert len(bodies) == 2

    run(main())


def test_a_reused_connection_that_dies_after_the_request_is_not_tried_again(run: Run) -> None:
    requests = 0

    async def handle(reader, writer):
        nonlocal requests
        while True:
            await read_request(reader)
            requests += 1
            if requests == 2:
                return
            writer.write(OK)

    async def main():
        async with serve(handle) as port, client(port) as upstream:
            assert await fetch(upstream) == (200, b"ok")
            with pytest.raises(UpstreamError) as caught:
                await upstream.send(POST)
            assert caught.value.sent
            assert requests == 2

    run(main())


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_connections_that_end_just_when_they_are_used_again(run: Run, how: str) -> None:
    """Every request is done once or its error says that it may have been, and none is done twice:
    wherever the end falls in between."""
    done = 0
    rounds = 300

    async def handle(reader, writer):
        nonlocal done
        for turn in range(2):
            await read_request(reader)
            done += 1
            writer.write(OK)
            await writer.drain()
            for _ in range(done % 4):
                await asyncio.sleep(0)
            if turn == done % 2 and how == "rst":
                reset(writer)

    async def main():
        answered = 0
        errors = []
        async with serve(handle) as port, client(port) as upstream:
            for number in range(rounds):
                try:
                    assert await fetch(upstream) == (200, b"ok")
                    answered += 1
                except UpstreamError as error:
                    errors.append(error)
                for _ in range(number % 3):
                    await asyncio.sleep(0)
        assert answered + len(errors) == rounds
        assert all(error.sent for error in errors)
        assert answered <= done <= rounds
        assert answered > rounds / 2

    run(main())
