"""Opening connections; sockets, proxies and TLS of real servers are in the contract suite."""

import asyncio
import contextlib
import errno
import socket
import ssl

import pytest
from tests.unit.upstream.loopback import Run, serve

from tollbridge.app.ports import UpstreamError
from tollbridge.upstream.connection import Connection
from tollbridge.upstream.dial import Dialer, _Opening, connect_failure
from tollbridge.upstream.origin import parse_origin


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (socket.gaierror(-2, "Name or service not known: h.example"), "name could not be resolved"),
        (ConnectionRefusedError(111, "h.example"), "connection refused"),
        (OSError(errno.EMFILE, "h.example"), "the gateway has no file descriptor left"),
        (ConnectionResetError(104, "h.example"), "reset while it was being opened"),
        (FileNotFoundError(2, "/run/h.example"), "the socket does not exist"),
        (ssl.SSLError(1, "h.example"), "TLS handshake failed"),
        (OSError("Multiple exceptions: h.example"), "could not be reached"),
        (OSError(101, "Network is unreachable: h.example"), "could not be reached"),
    ],
)
def test_failures_are_told_without_the_host(error: OSError, words: str) -> None:
    message = connect_failure(error)
    assert words in message
    assert "h.example" not in message


def test_the_connection_gets_the_transport(run: Run) -> None:
    async def handle(reader, writer):
        await reader.read()

    async def main():
        async with serve(handle) as port:
            connection = Connection(asyncio.get_running_loop(), lambda _: None)
            await Dialer(parse_origin(f"http://127.0.0.1:{port}")).open(connection)
            assert not connection.is_stale()
            connection.close()
            await connection.wait_closed()

    run(main())


def test_a_server_that_speaks_first_is_none_of_ours(run: Run) -> None:
    """Whether it is noticed before or after the hand-over: the connection takes no request."""

    async def handle(reader, writer):
        writer.write(b"220 mail.example ESMTP\r\n")
        await reader.read()

    async def main():
        async with serve(handle) as port:
            connection = Connection(asyncio.get_running_loop(), lambda _: None)
            with contextlib.suppress(UpstreamError):
                await Dialer(parse_origin(f"http://127.0.0.1:{port}")).open(connection)
                await connection.wait_closed()
            assert connection.is_stale()
            connection.close()

    run(main())


def test_a_deadline_closes_what_was_half_open(run: Run) -> None:
    ended = []

    async def handle(reader, writer):
        ended.append(await reader.read())

    async def main():
        async with serve(handle) as port:
            connection = Connection(asyncio.get_running_loop(), lambda _: None)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await Dialer(parse_origin(f"https://127.0.0.1:{port}")).open(connection)
            connection.close()
            await asyncio.sleep(0.01)
        assert len(ended) == 1

    run(main())


def test_a_proxy_answer_in_pieces() -> None:
    async def main():
        opening = _Opening()
        answer = opening.wait_answer(asyncio.get_running_loop())
        for byte in b"HTTP/1.1 200 OK\r\n\r\n":
            assert not answer.done()
            opening.data_received(bytes([byte]))
        assert await answer == 200
        assert not opening.ended
        opening.data_received(b"more")
        assert opening.ended

    asyncio.run(main())
