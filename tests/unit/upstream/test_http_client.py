"""The client against well-behaved servers: reuse, waiting, IPv6, close."""

import asyncio
import socket

import pytest
from msgspec.structs import replace
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
    Upstream,
    UpstreamBusyError,
    UpstreamReply,
    UpstreamRequest,
)
from tollbridge.config import UpstreamConfig
from tollbridge.upstream import http_client
from tollbridge.upstream.http_client import HttpUpstream


def test_implements_the_port() -> None:
    upstream: Upstream = HttpUpstream("http://127.0.0.1:1")
    assert upstream is not None


def test_request_as_it_arrives(run: Run) -> None:
    seen = []

    async def handle(reader, writer):
        seen.append(await read_request(reader))
        writer.write(OK)

    async def main():
        async with (
            serve(handle) as port,
            client(port, base_url=f"http://127.0.0.1:{port}/p/") as upstream,
        ):
            reply: UpstreamReply = await upstream.send(POST)
            assert reply.status == 200
            assert reply.headers["content-length"] == "2"
            assert await reply.read() == b"ok"
            assert await reply.read() == b""
            assert await reply.read() == b""
            reply.abort()
        head, body = seen[0]
        assert head.startswith(f"POST /p/v1/messages HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n")
        assert "\r\nx-api-key: s3cret\r\n" in head
        assert "\r\naccept-encoding: identity\r\n" in head
        assert body == POST.body

    run(main())


def test_from_config(run: Run) -> None:
    async def main():
        async with serve(repeating(OK)) as port:
            base_url = f"http://127.0.0.1:{port}"
            config = UpstreamConfig(base_url=base_url, protocol="chat", connections_max=1)
            upstream = HttpUpstream.from_config(config, {})
            assert await fetch(upstream) == (200, b"ok")
            assert not upstream.pool.reserve()
            await upstream.close()

    run(main())


def test_settings_of_the_configuration(tmp_path) -> None:
    base_url = "https://models.example/v1"
    for settings, words in (
        ({"tls_ca": str(tmp_path / "none.pem")}, "^tls_ca: "),
        ({"proxy": "socks5://p"}, "^proxy: "),
        ({"base_url": "http://u:s3cret@models.example"}, "^base_url: "),
    ):
        config = UpstreamConfig(**{"base_url": base_url, "protocol": "chat"} | settings)
        with pytest.raises(ValueError, match=words) as caught:
            HttpUpstream.from_config(config, {})
        assert "s3cret" not in str(caught.value)
    config = UpstreamConfig(base_url=base_url, protocol="chat", unix_socket="/run/models.sock")
    HttpUpstream.from_config(config, {"ALL_PROXY": "socks5://p"})


def test_the_environment_s_proxy_is_asked(run: Run) -> None:
    seen = []

    async def handle(reader, writer):
        seen.append((await read_request(reader))[0])
        writer.write(OK)

    async def main():
        async with serve(handle) as port:
            config = UpstreamConfig(base_url="http://models.example/v1", protocol="chat")
            environ = {"HTTP_PROXY": f"http://user:pass@127.0.0.1:{port}"}
            upstream = HttpUpstream.from_config(config, environ)
            assert await fetch(upstream) == (200, b"ok")
            await upstream.close()
        assert seen[0].startswith("POST http://models.example/v1/v1/messages HTTP/1.1\r\n")
        assert "\r\nhost: models.example\r\n" in seen[0]
        assert "\r\nproxy-authorization: Basic dXNlcjpwYXNz\r\n" in seen[0]

    run(main())


def test_connections_grow_old(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "REUSE_S", 0.0)
    served: list[int] = []

    async def main():
        async with serve(repeating(OK, served)) as port, client(port) as upstream:
            for _ in range(3):
                assert await fetch(upstream) == (200, b"ok")
                assert upstream.pool.open == 0
        assert served == [1, 1, 1]

    run(main())


def test_keep_alive(run: Run) -> None:
    served: list[int] = []

    async def main():
        async with serve(repeating(OK, served)) as port, client(port) as upstream:
            for _ in range(5):
                assert await fetch(upstream) == (200, b"ok")
            assert upstream.pool.idle == 1
        assert served == [5]

    run(main())


def test_a_body_that_came_with_the_head_costs_no_wakeup(run: Run) -> None:
    async def main():
        async with serve(repeating(OK)) as port, client(port) as upstream:
            reply = await upstream.send(POST)
            reading = reply.read()
            with pytest.raises(StopIteration) as stopped:
                reading.send(None)  # no loop is needed to finish it
            assert stopped.value.value == b"ok"
            assert upstream.pool.idle == 1

    run(main())


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 3_000_000])
def test_bodies_of_all_sizes(run: Run, size: int) -> None:
    async def handle(reader, writer):
        while True:
            _, body = await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    async def main():
        body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        async with serve(handle) as port, client(port) as upstream:
            for _ in range(2):
                assert await fetch(upstream, UpstreamRequest("POST", "/", (), body)) == (200, body)
            assert upstream.pool.open == 1

    run(main())


@pytest.mark.parametrize(
    ("method", "answer", "expected"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n", (200, b"")),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"")),
        ("GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", (304, b"")),
        ("GET", b"HTTP/1.1 200 OK\r\n\r\nup to the end", (200, b"up to the end")),
        ("GET", b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", (200, b"ok")),
    ],
)
def test_how_bodies_end(run: Run, method: str, answer: bytes, expected: tuple[int, bytes]) -> None:
    async def main():
        async with serve(answering(answer)) as port, client(port) as upstream:
            assert await fetch(upstream, UpstreamRequest(method, "/", (), b"")) == expected

    run(main())


def test_many_at_once_share_few_connections_in_order(run: Run) -> None:
    served: list[int] = []
    order = []

    async def main():
        async with (
            serve(repeating(OK, served)) as port,
            client(port, connections_max=2) as upstream,
        ):

            async def one(number: int) -> None:
                assert await fetch(upstream) == (200, b"ok")
                order.append(number)

            await asyncio.gather(*(one(number) for number in range(20)))
            assert upstream.pool.open <= 2
        assert sum(served) == 20
        assert len(served) <= 2
        assert all(abs(place - number) <= 2 for place, number in enumerate(order))

    run(main())


def test_who_asks_is_told_when_the_request_has_left(run: Run) -> None:
    async def main() -> None:
        told = []
        request = replace(GET, on_sent=lambda: told.append(upstream.pool.open))
        async with serve(repeating(OK)) as port, client(port, connections_max=1) as upstream:
            assert upstream.pool.reserve()
            waiting = asyncio.ensure_future(fetch(upstream, request))
            while not upstream.pool.waiting:  # noqa: ASYNC110
                await asyncio.sleep(0)
            assert told == []
            upstream.pool.free_place()
            assert await waiting == (200, b"ok")
            assert told == [1]

    run(main())


def test_waiting_for_a_free_connection_has_an_end(run: Run) -> None:
    async def main():
        async with (
            serve(repeating(OK[:-1])) as port,
            client(port, connections_max=1, connect_timeout_s=0.02) as upstream,
        ):
            reply = await upstream.send(GET)
            with pytest.raises(
                UpstreamBusyError, match=r"no connection became free within 0\.02 s"
            ) as caught:
                await upstream.send(GET)
            assert not caught.value.sent
            reply.abort()

    run(main())


def test_the_place_of_an_aborted_exchange_is_handed_on(run: Run) -> None:
    async def main():
        async with serve(repeating(OK[:-1])) as port, client(port, connections_max=1) as upstream:
            first = await upstream.send(GET)
            waiting = asyncio.create_task(upstream.send(GET))
            await asyncio.sleep(0)
            assert upstream.pool.waiting == 1
            first.abort()
            second = await waiting
            assert await second.read() == b"o"
            second.abort()

    run(main())


@pytest.mark.parametrize("granted", ["connection", "place"])
def test_cancelled_in_the_moment_its_turn_comes(run: Run, granted: str) -> None:
    async def main():
        async with serve(repeating(OK)) as port, client(port, connections_max=1) as upstream:
            assert await fetch(upstream) == (200, b"ok")
            connection = upstream.pool.take()
            waiting = [asyncio.create_task(fetch(upstream)) for _ in range(2)]
            await asyncio.sleep(0)
            assert upstream.pool.waiting == 2
            if granted == "place":
                connection.close()
            else:
                upstream.pool.put(connection, 0.0)
            waiting[0].cancel()
            assert await waiting[1] == (200, b"ok")
            with pytest.raises(asyncio.CancelledError):
                await waiting[0]
            assert upstream.pool.open == 1

    run(main())


def test_the_next_in_line_after_a_failed_connect(run: Run) -> None:
    async def main():
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            async with client(bound.getsockname()[1], connections_max=1) as upstream:
                results = await asyncio.gather(
                    *(upstream.send(GET) for _ in range(3)), return_exceptions=True
                )
        assert [str(result) for result in results] == ["connection refused"] * 3

    run(main())


def test_idle_connections_are_closed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "IDLE_KEEP_S", 0.02)

    async def main():
        async with serve(repeating(OK)) as port, client(port) as upstream:
            await asyncio.gather(fetch(upstream), fetch(upstream))
            assert upstream.pool.idle == 2
            await until(lambda: not upstream.pool.open)

    run(main())


def test_close_lets_streams_under_way_finish(run: Run) -> None:
    async def handle(reader, writer):
        while True:
            await read_request(reader)
            writer.write(OK[:-1])
            await asyncio.sleep(0.01)
            writer.write(OK[-1:])

    async def main():
        async with serve(handle) as port, client(port) as upstream:
            reply = await upstream.send(GET)
            await upstream.close()
            assert await read_all(reply) == b"ok"
            assert upstream.pool.open == 0
            assert await fetch(upstream) == (200, b"ok")
            assert upstream.pool.open == 0

    run(main())


def test_a_bad_header_takes_no_connection(run: Run) -> None:
    async def main():
        async with client(1) as upstream:
            with pytest.raises(ValueError, match="header x-api-key"):
                await upstream.send(UpstreamRequest("POST", "/", (("x-api-key", "a\r\nb"),), b""))
            assert upstream.pool.open == 0

    run(main())


def test_localhost_falls_back_to_the_other_family(run: Run) -> None:
    async def main():
        async with (
            serve(repeating(OK)) as port,
            client(port, base_url=f"http://localhost:{port}") as upstream,
        ):
            assert await fetch(upstream) == (200, b"ok")

    run(main())


def test_ipv6(run: Run) -> None:
    seen = []

    async def handle(reader, writer):
        seen.append((await read_request(reader))[0])
        writer.write(OK)

    async def main():
        async with (
            serve(handle, host="::1") as port,
            client(port, base_url=f"http://[::1]:{port}") as upstream,
        ):
            assert await fetch(upstream) == (200, b"ok")
        assert f"\r\nhost: [::1]:{port}\r\n" in seen[0]

    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        pytest.skip(f"no IPv6 on the loopback interface: {error}")
    run(main())
