"""The HTTP client's deadlines, and what a cancelled or aborted exchange leaves behind: nothing."""

import asyncio
import socket

import pytest
from tests.unit.upstream.loopback import (
    GET,
    OK,
    POST,
    Run,
    answering,
    client,
    fetch,
    read_all,
    read_request,
    repeating,
    serve,
    until,
)

from tollbridge.app.ports import (
    UpstreamBusyError,
    UpstreamError,
    UpstreamRequest,
    UpstreamTimeoutError,
)
from tollbridge.upstream.resolve import Address

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def test_never_answers(run: Run) -> None:
    async def handle(reader, writer):
        await reader.read()

    async def main():
        async with serve(handle) as port, client(port, first_byte_timeout_s=0.02) as upstream:
            with pytest.raises(
                UpstreamTimeoutError, match=r"0\.02 s waiting for the first byte"
            ) as caught:
                await upstream.send(POST)
            assert caught.value.sent
            assert upstream.pool.open == 0

    run(main())


def test_interim_responses_do_not_extend_the_first_byte_deadline(run: Run) -> None:
    async def handle(reader, writer):
        while True:
            writer.write(b"HTTP/1.1 102 Processing\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.005)

    async def main():
        async with serve(handle) as port, client(port, first_byte_timeout_s=0.03) as upstream:
            with pytest.raises(UpstreamTimeoutError):
                await upstream.send(POST)

    run(main())


def test_falls_silent_in_the_body(run: Run) -> None:
    async def handle(reader, writer):
        await read_request(reader)
        writer.write(HEAD + b"3\r\nabc\r\n")
        await reader.read()

    async def main():
        async with serve(handle) as port, client(port, idle_timeout_s=0.02) as upstream:
            reply = await upstream.send(POST)
            assert await reply.read() == b"abc"
            with pytest.raises(UpstreamTimeoutError, match="waiting for more of the answer"):
                await reply.read()
            with pytest.raises(UpstreamTimeoutError):
                await reply.read()
            assert upstream.pool.open == 0

    run(main())


def test_a_slow_reader_does_not_time_out(run: Run) -> None:
    async def main():
        async with (
            serve(answering(HEAD + b"3\r\nabc\r\n", b"0\r\n\r\n")) as port,
            client(port, idle_timeout_s=0.02) as upstream,
        ):
            reply = await upstream.send(POST)
            await asyncio.sleep(0.05)
            assert await read_all(reply) == b"abc"

    run(main())


def test_chunks_within_the_idle_deadline_go_on_for_longer_than_it(run: Run) -> None:
    pieces = [HEAD, *[b"1\r\nx\r\n"] * 150, b"0\r\n\r\n"]

    async def main():
        async with (
            serve(answering(*pieces)) as port,
            client(port, first_byte_timeout_s=0.15, idle_timeout_s=0.15) as upstream,
        ):
            assert await fetch(upstream) == (200, b"x" * 150)

    run(main())


@pytest.mark.parametrize("pieces", [[], [HEAD], [HEAD, *[b"1\r\nx\r\n"] * 1000]])
def test_the_total_deadline_ends_all_of_it(run: Run, pieces: list[bytes]) -> None:
    """Whether the server is silent before the head, in the body, or never silent at all."""

    async def handle(reader, writer):
        await read_request(reader)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.001)
        await reader.read()

    async def main():
        async with serve(handle) as port, client(port, total_timeout_s=0.05) as upstream:
            with pytest.raises(UpstreamTimeoutError, match=r"0\.05 s in all") as caught:
                await fetch(upstream)
            assert caught.value.sent
            assert upstream.pool.open == 0

    run(main())


def test_within_the_total_deadline_connections_are_reused(run: Run) -> None:
    served: list[int] = []

    async def main():
        async with (
            serve(repeating(OK, served)) as port,
            client(port, total_timeout_s=5.0) as upstream,
        ):
            for _ in range(3):
                assert await fetch(upstream) == (200, b"ok")
        assert served == [3]

    run(main())


def test_connecting_takes_no_longer_than_the_total_deadline(run: Run) -> None:
    async def handle(reader, writer):
        await reader.read()

    async def main():
        async with (
            serve(handle) as port,
            client(port, base_url=f"https://127.0.0.1:{port}", total_timeout_s=0.03) as upstream,
        ):
            with pytest.raises(UpstreamTimeoutError, match=r"0\.03 s connecting") as caught:
                await upstream.send(POST)
            assert not caught.value.sent

    run(main())


def test_nothing_is_sent_once_the_total_deadline_has_passed(run: Run) -> None:
    """The second of two waits in line for half of it, and then for a name for longer than the rest,
    though neither of both for as long as connecting may take."""
    bodies = []
    looked_up = 0

    async def handle(reader, writer):
        bodies.append((await read_request(reader))[1])
        await asyncio.sleep(0.05)
        writer.write(OK)  # and the connection is closed

    async def lookup(_):
        nonlocal looked_up
        await asyncio.sleep(0.08 * looked_up)
        looked_up += 1
        return [Address(socket.AF_INET, "127.0.0.1")]

    async def main():
        async with (
            serve(handle) as port,
            client(
                0,
                base_url=f"http://models.example:{port}",
                lookup=lookup,
                total_timeout_s=0.1,
                connections_max=1,
            ) as upstream,
        ):
            second = UpstreamRequest("POST", "/", (), b"second")
            results = await asyncio.gather(
                fetch(upstream), fetch(upstream, second), return_exceptions=True
            )
            assert isinstance(results[1], UpstreamTimeoutError | UpstreamBusyError)
            assert not results[1].sent
            await until(lambda: looked_up == 2)
            assert upstream.pool.open == 0
        assert bodies == [POST.body]

    run(main())


def test_abort_wakes_a_pending_read(run: Run) -> None:
    async def handle(reader, writer):
        await read_request(reader)
        writer.write(HEAD)
        assert await reader.read() == b""

    async def main():
        async with serve(handle) as port, client(port) as upstream:
            reply = await upstream.send(POST)
            reading = asyncio.create_task(reply.read())
            await asyncio.sleep(0)
            reply.abort()
            with pytest.raises(UpstreamError, match="aborted"):
                await reading

    run(main())


@pytest.mark.parametrize("moment", ["handshake", "turn", "head", "body"])
def test_cancelled_at_each_await(run: Run, moment: str) -> None:
    async def handle(reader, writer):
        if moment == "handshake":
            await reader.read()
        await read_request(reader)
        if moment == "body":
            writer.write(HEAD)
        assert await reader.read() == b""

    async def main():
        async with serve(handle) as port:
            scheme = "https" if moment == "handshake" else "http"
            async with client(
                port, base_url=f"{scheme}://127.0.0.1:{port}", connections_max=1
            ) as upstream:
                holder = None
                if moment == "turn":
                    holder = asyncio.create_task(upstream.send(GET))
                    await asyncio.sleep(0.005)
                task = asyncio.create_task(fetch(upstream))
                await asyncio.sleep(0.01)
                assert upstream.pool.open == 1
                assert upstream.pool.waiting == (moment == "turn")
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                if holder is not None:
                    assert upstream.pool.waiting == 0
                    holder.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await holder
                assert upstream.pool.open == 0

    run(main())


def test_tls_handshake_that_never_ends(run: Run) -> None:
    async def handle(reader, writer):
        await reader.read()

    async def main():
        async with (
            serve(handle) as port,
            client(port, base_url=f"https://127.0.0.1:{port}", connect_timeout_s=0.03) as upstream,
        ):
            with pytest.raises(UpstreamTimeoutError, match=r"0\.03 s connecting") as caught:
                await upstream.send(POST)
            assert not caught.value.sent

    run(main())
