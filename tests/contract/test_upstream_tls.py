"""The HTTP client over TLS, with a certificate made for the test."""

import asyncio
import ssl
import subprocess
from pathlib import Path

import pytest
from tests.unit.upstream.loopback import (
    LOOPS,
    OK,
    POST,
    Run,
    answering,
    client,
    fetch,
    read_all,
    repeating,
    run_on,
    serve,
    until,
)

from tollbridge.app.ports import UpstreamError, UpstreamRequest


@pytest.fixture(params=list(LOOPS))
def run(request: pytest.FixtureRequest) -> Run:
    return lambda coroutine: run_on(request.param, coroutine)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    command = [
        *(
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ),
        *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
        *("-keyout", str(key), "-out", str(certificate)),
    ]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl command to make a certificate with")
    return certificate, key


@pytest.fixture
def tls(certificate: tuple[Path, Path]) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's context and one of a client that trusts it."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*certificate)
    server.set_alpn_protocols(["h2", "http/1.1"])
    trusting = ssl.create_default_context(cafile=certificate[0])
    trusting.set_alpn_protocols(["http/1.1"])
    return server, trusting


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
