"""How the HTTP client reaches a server: Unix sockets, names that move, addresses that are dead,
sessions of TLS, servers that vanish."""

import asyncio
import contextlib
import socket
import ssl
from pathlib import Path

import pytest
from tests.unit.upstream.loopback import (
    OK,
    POST,
    Run,
    client,
    fetch,
    read_request,
    repeating,
    serve,
    until,
)

from tollbridge.app.ports import UpstreamError, UpstreamTimeoutError
from tollbridge.upstream import http_client
from tollbridge.upstream.resolve import Address
from tollbridge.upstream.tls import client_context

V4 = Address(socket.AF_INET, "127.0.0.1")


def names(*answers):
    """A name service that gives one answer after the other, the last one for ever."""
    left = list(answers)

    async def lookup(name):
        assert name == "models.example"
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, OSError):
            raise answer
        return answer

    return lookup


@contextlib.contextmanager
def dead_address():
    """An address of this machine whose port accepts nobody and refuses nobody: its line is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.9", 0))
        listener.listen(0)
        place = listener.getsockname()
        for _ in range(4):
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(place)
        yield Address(socket.AF_INET, "127.0.0.9"), place[1]


def test_a_unix_socket(run: Run, tmp_path: Path) -> None:
    seen = []
    path = str(tmp_path / "llama.sock")

    async def handle(reader, writer):
        while True:
            seen.append((await read_request(reader))[0])
            writer.write(OK)

    async def main():
        base_url = "http://llama/v1"
        async with (
            serve(handle, path=path),
            client(0, base_url=base_url, unix_socket=path) as upstream,
        ):
            for _ in range(2):
                assert await fetch(upstream) == (200, b"ok")
            assert upstream.pool.open == 1
        async with client(0, base_url=base_url, unix_socket=path) as upstream:
            with pytest.raises(UpstreamError, match="connection refused") as caught:
                await fetch(upstream)
            assert not caught.value.sent
        async with client(0, base_url=base_url, unix_socket=f"{path}2") as upstream:
            with pytest.raises(UpstreamError, match="the socket does not exist"):
                await fetch(upstream)

    run(main())
    assert len(seen) == 2
    assert seen[0].startswith("POST /v1/v1/messages HTTP/1.1\r\nhost: llama\r\n")


def test_tls_over_a_unix_socket(run: Run, tls, tmp_path: Path) -> None:
    path = str(tmp_path / "models.sock")

    async def main():
        async with (
            serve(repeating(OK), path=path, ssl=tls[0]),
            client(
                0, base_url="https://models.example", unix_socket=path, ssl_context=tls[1]
            ) as upstream,
        ):
            assert await fetch(upstream) == (200, b"ok")

    run(main())


def test_a_name_that_moves_is_found_by_the_next_connection(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections are not given out for longer than `REUSE_S`; then the name is asked again."""
    monkeypatch.setattr(http_client, "REUSE_S", 0.05)

    def saying(answer):
        return repeating(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n" + answer)

    async def main():
        async with (
            serve(saying(b"old")) as port,
            serve(saying(b"new"), host="127.0.0.2", port=port),
        ):
            lookup = names([V4], [Address(socket.AF_INET, "127.0.0.2")])
            base_url = f"http://models.example:{port}"
            async with client(0, base_url=base_url, lookup=lookup) as upstream:
                assert await fetch(upstream) == (200, b"old")
                assert await fetch(upstream) == (200, b"old")
                assert upstream.pool.idle == 1
                await asyncio.sleep(0.06)
                await fetch(upstream)
                assert upstream.pool.open == 0
                assert await fetch(upstream) == (200, b"new")

    run(main())


def test_a_name_that_is_not_found(run: Run) -> None:
    async def main():
        async with serve(repeating(OK)) as port:
            lookup = names(socket.gaierror(-2, "models.example"), [], [V4])
            base_url = f"http://models.example:{port}"
            async with client(0, base_url=base_url, lookup=lookup) as upstream:
                for _ in range(2):
                    with pytest.raises(UpstreamError, match="name could not be resolved") as caught:
                        await fetch(upstream)
                    assert not caught.value.sent
                    assert "models.example" not in str(caught.value)
                    assert upstream.pool.open == 0
                assert await fetch(upstream) == (200, b"ok")

    run(main())


def test_a_name_service_that_does_not_answer(run: Run) -> None:
    async def main():
        asked = 0
        answer = asyncio.get_running_loop().create_future()

        def lookup(_):
            nonlocal asked
            asked += 1
            return answer

        base_url = "http://models.example"
        async with client(0, base_url=base_url, lookup=lookup, connect_timeout_s=0.03) as upstream:
            results = await asyncio.gather(
                *(fetch(upstream) for _ in range(20)), return_exceptions=True
            )
            assert {type(result) for result in results} == {UpstreamTimeoutError}
            assert asked == 1
            assert upstream.pool.open == 0
        answer.cancel()

    run(main())


def test_the_other_address_when_the_first_refuses(run: Run) -> None:
    async def main():
        async with serve(repeating(OK)) as port:
            v6 = Address(socket.AF_INET6, "::1")
            base_url = f"http://models.example:{port}"
            async with client(
                0, base_url=base_url, lookup=names([v6, V4]), connect_timeout_s=0.2
            ) as upstream:
                assert await fetch(upstream) == (200, b"ok")

    run(main())


def test_the_other_address_when_the_first_is_silent(run: Run) -> None:
    with dead_address() as (dead, port):

        async def main():
            async with serve(repeating(OK), port=port):
                base_url = f"http://models.example:{port}"
                async with client(0, base_url=base_url, lookup=names([dead, V4])) as upstream:
                    began = asyncio.get_running_loop().time()
                    assert await fetch(upstream) == (200, b"ok")
                    assert asyncio.get_running_loop().time() - began < 2
                    assert upstream.pool.open == 1

        run(main())


def test_all_addresses_are_silent(run: Run) -> None:
    with dead_address() as (dead, port):

        async def main():
            base_url = f"http://models.example:{port}"
            async with client(
                0, base_url=base_url, lookup=names([dead, dead]), connect_timeout_s=0.3
            ) as upstream:
                with pytest.raises(UpstreamTimeoutError, match=r"0\.3 s connecting"):
                    await fetch(upstream)
                assert upstream.pool.open == 0

        run(main())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_sessions_are_taken_up_again(run: Run, tls, certificate, version) -> None:
    reused = []

    async def handle(reader, writer):
        reused.append(writer.get_extra_info("ssl_object").session_reused)
        await read_request(reader)
        writer.write(OK)

    async def main():
        context = client_context(str(certificate[0]))
        context.maximum_version = version
        async with serve(handle, ssl=tls[0]) as port:
            base_url = f"https://models.example:{port}"
            async with client(
                0, base_url=base_url, ssl_context=context, lookup=names([V4])
            ) as upstream:
                for _ in range(4):
                    assert await fetch(upstream) == (200, b"ok")
                    await until(lambda: not upstream.pool.open)
            # Another name gets no session of this one, though it is the same server.
            async with client(
                0, base_url=f"https://localhost:{port}", ssl_context=context
            ) as upstream:
                assert await fetch(upstream) == (200, b"ok")

    run(main())
    assert reused == [False, True, True, True, False]


def test_a_server_that_has_forgotten_the_session(run: Run, certificate) -> None:
    async def main():
        context = client_context(str(certificate[0]))
        for _ in range(3):
            server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            server.load_cert_chain(*certificate)
            async with (
                serve(repeating(OK), ssl=server) as port,
                client(0, base_url=f"https://localhost:{port}", ssl_context=context) as upstream,
            ):
                assert await fetch(upstream) == (200, b"ok")

    run(main())


TCP_REPAIR = 19
"""Linux: a socket in repair is closed without a word to its peer."""


def vanish(writer: asyncio.StreamWriter) -> None:
    """End the connection without FIN and without RST, as a machine that loses its power does."""
    sock = writer.get_extra_info("socket")
    try:
        sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    except OSError as error:
        pytest.skip(f"a socket cannot vanish silently here: {error}")
    writer.transport.abort()


def test_half_open_connections(run: Run) -> None:
    """The server is gone and nothing has told us. Whoever is waiting runs into the idle deadline;
    whoever takes such a connection from the pool gets an error that says that it was sent."""
    writers = []

    async def handle(reader, writer):
        writers.append(writer)
        await read_request(reader)
        writer.write(OK)
        await reader.read()

    async def main():
        async with serve(handle) as port, client(port, first_byte_timeout_s=0.5) as upstream:
            assert await fetch(upstream) == (200, b"ok")
            assert upstream.pool.idle == 1
            vanish(writers[0])
            await asyncio.sleep(0.01)
            assert upstream.pool.idle == 1
            with pytest.raises(UpstreamError) as caught:
                await fetch(upstream)
            assert caught.value.sent
            assert upstream.pool.open == 0
            assert await fetch(upstream) == (200, b"ok")
            assert len(writers) == 2

    run(main())


def test_the_kernel_watches_silent_connections(run: Run) -> None:
    async def main():
        async with serve(repeating(OK)) as port, client(port) as upstream:
            reply = await upstream.send(POST)
            connection = upstream.pool.take()
            sock = connection._transport.get_extra_info("socket")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            connection.close()
            assert await reply.read() == b"ok"

    run(main())
