"""The HTTP client over TLS, with a certificate made for the test."""

import asyncio
import ssl

import pytest
from tests.unit.upstream.loopback import (
    OK,
    POST,
    Run,
    answering,
    client,
    fetch,
    read_all,
    repeating,
    serve,
    until,
)

from tollbridge.app.ports import UpstreamError, UpstreamRequest


def test_tls(run: Run, tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    names = []
    protocols = []
    tls[0].sni_callback = lambda _socket, name, _context: names.append(name)

    async def handle(reader, writer):
        protocols.append(writer.get_extra_info("ssl_object").selected_alpn_protocol())
        await repeating(OK)(reader, writer)

    async def main():
        async with (
            serve(handle, ssl=tls[0]) as port,
            client(port, base_url=f"https://localhost:{port}", ssl_context=tls[1]) as upstream,
        ):
            for _ in range(3):
                assert await fetch(upstream) == (200, b"ok")
            assert upstream.pool.idle == 1
            big = UpstreamRequest("POST", "/", (), b"x" * 1_000_000)
            assert await fetch(upstream, big) == (200, b"ok")

    run(main())
    assert names == ["localhost"]
    assert protocols == ["http/1.1"]


def test_tls_stream_is_held_back(run: Run, tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    total = 8_000_000

    async def main():
        async with (
            serve(
                answering(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % total, b"x" * total),
                ssl=tls[0],
            ) as port,
            client(port, base_url=f"https://localhost:{port}", ssl_context=tls[1]) as upstream,
        ):
            reply = await upstream.send(POST)
            await until(lambda: reply._connection._paused)
            await asyncio.sleep(0.01)
            assert reply.response.buffered < 2_000_000
            assert len(await read_all(reply)) == total

    run(main())


def test_tls_is_verified(run: Run, tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """By the default context, which does not know this certificate, and as to the name."""

    async def main():
        async with serve(repeating(OK), ssl=tls[0]) as port:
            for host, context in (("localhost", None), ("127.0.0.1", tls[1])):
                base_url = f"https://{host}:{port}"
                async with client(port, base_url=base_url, ssl_context=context) as upstream:
                    with pytest.raises(
                        UpstreamError, match="certificate could not be verified"
                    ) as caught:
                        await upstream.send(POST)
                    assert host not in str(caught.value)
                    assert not caught.value.sent

    run(main())
