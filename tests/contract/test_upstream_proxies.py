"""The HTTP client behind a forward proxy."""

import asyncio
import contextlib
import ssl

import pytest
from msgspec.structs import replace
from tests.fakes.forward_proxy import ForwardProxy
from tests.unit.upstream.loopback import (
    OK,
    POST,
    Run,
    answering,
    client,
    fetch,
    read_all,
    read_request,
    repeating,
    reset,
    serve,
    until,
)

from tollbridge.app.ports import UpstreamError, UpstreamRequest, UpstreamTimeoutError
from tollbridge.upstream import dial
from tollbridge.upstream.proxy import parse_proxy
from tollbridge.upstream.tls import client_context

CREDENTIAL = "dXNlcjpzM2NyZXQ="
TLS = tuple[ssl.SSLContext, ssl.SSLContext]


@contextlib.asynccontextmanager
async def behind(handle, base_url, *, user="", scheme="http", tls=None, **settings):
    """A client whose proxy is `handle`."""
    async with serve(handle, ssl=tls) as port:
        host = "localhost" if tls else "127.0.0.1"
        proxy = parse_proxy(f"{scheme}://{user}{host}:{port}", "proxy")
        async with client(0, base_url=base_url, proxy=proxy, **settings) as upstream:
            yield upstream


def test_https_goes_through_a_tunnel(run: Run, tls: TLS) -> None:
    served: list[int] = []

    async def main():
        async with serve(repeating(OK, served), ssl=tls[0]) as port:
            proxy = ForwardProxy({"models.example:443": port})
            async with behind(
                proxy.handle, "https://models.example/v1", ssl_context=tls[1]
            ) as upstream:
                for _ in range(3):
                    assert await fetch(upstream) == (200, b"ok")
                big = UpstreamRequest("POST", "/", (), b"x" * 1_000_000)
                assert await fetch(upstream, big) == (200, b"ok")
                assert upstream.pool.idle == 1
        assert proxy.heads == [
            "CONNECT models.example:443 HTTP/1.1\r\nhost: models.example:443\r\n\r\n"
        ]
        assert served == [4]

    run(main())


def test_http_gives_the_proxy_the_whole_url(run: Run) -> None:
    seen = []

    async def handle(reader, writer):
        seen.append(await read_request(reader))
        writer.write(OK)

    async def main():
        async with serve(handle) as port:
            proxy = ForwardProxy({"models.example:8000": port}, authorization=f"Basic {CREDENTIAL}")
            async with behind(
                proxy.handle, "http://models.example:8000/v1", user="user:s3cret@"
            ) as upstream:
                assert await fetch(upstream) == (200, b"ok")
                assert await fetch(upstream, replace(POST, path="/../tokenize")) == (200, b"ok")
                assert upstream.pool.open == 1

    run(main())
    (first, body), (second, _) = seen
    assert first.startswith("POST /v1/v1/messages HTTP/1.1\r\nhost: models.example:8000\r\n")
    assert second.startswith("POST /tokenize HTTP/1.1\r\n")
    assert body == POST.body
    assert CREDENTIAL not in first


def test_a_proxy_over_tls(run: Run, tls: TLS, monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS in TLS for https, and a name that the proxy's certificate is for."""
    monkeypatch.setattr(dial, "default_context", lambda: tls[1])

    async def main():
        async with serve(repeating(OK), ssl=tls[0]) as https, serve(answering(OK)) as http:
            proxy = ForwardProxy({"models.example:443": https, "models.example:80": http})
            for base_url in ("https://models.example", "http://models.example"):
                async with behind(
                    proxy.handle, base_url, scheme="https", tls=tls[0], ssl_context=tls[1]
                ) as upstream:
                    assert await fetch(upstream) == (200, b"ok")
                    if base_url.startswith("https"):
                        big = UpstreamRequest("POST", "/", (), b"x" * 1_000_000)
                        assert await fetch(upstream, big) == (200, b"ok")

    run(main())


def test_the_certificate_behind_the_tunnel_is_verified(run: Run, tls: TLS) -> None:
    async def main():
        async with serve(repeating(OK), ssl=tls[0]) as port:
            proxy = ForwardProxy({"other.example:443": port})
            async with behind(
                proxy.handle, "https://other.example", ssl_context=tls[1]
            ) as upstream:
                with pytest.raises(UpstreamError, match="certificate could not be verif") as caught:
                    await fetch(upstream)
                assert not caught.value.sent
                assert upstream.pool.open == 0

    run(main())


@pytest.mark.parametrize("base_url", ["https://models.example", "http://models.example"])
@pytest.mark.parametrize("user", ["", "user:wrong@"])
def test_a_credential_that_is_refused(run: Run, base_url: str, user: str) -> None:
    async def main():
        proxy = ForwardProxy({}, authorization=f"Basic {CREDENTIAL}")
        async with behind(proxy.handle, base_url, user=user) as upstream:
            words = "refuses the user and password that" if user else "and the gateway has none"
            with pytest.raises(UpstreamError, match=f"the proxy .*{words}.*status 407") as caught:
                await fetch(upstream)
            assert not caught.value.sent
            assert "wrong" not in str(caught.value)
            await until(lambda: upstream.pool.open == 0)
        assert ("proxy-authorization: Basic " in proxy.heads[0]) == bool(user)

    run(main())


def test_407_of_the_upstream_itself_is_an_answer(run: Run) -> None:
    async def main():
        answer = b"HTTP/1.1 407 X\r\ncontent-length: 0\r\n\r\n"
        async with serve(answering(answer)) as port, client(port) as upstream:
            assert await fetch(upstream) == (407, b"")

    run(main())


@pytest.mark.parametrize("asks", ["proxy-authenticate", "www-authenticate"])
def test_a_401_is_whose_header_says_it(run: Run, asks: str) -> None:
    async def main():
        answer = f"HTTP/1.1 401 X\r\n{asks}: Basic\r\ncontent-length: 0\r\n\r\n".encode()
        async with behind(answering(answer), "http://models.example", user="a:b@") as upstream:
            if asks == "www-authenticate":
                assert await fetch(upstream) == (401, b"")
                return
            with pytest.raises(UpstreamError, match=r"the proxy refuses .*401") as caught:
                await fetch(upstream)
            assert not caught.value.sent

    run(main())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", r"the proxy does not connect \(status 502\)"),
        (b"HTTP/1.1 401 No\r\n\r\n", r"the proxy wants a user and a password, .* \(status 401\)"),
        (b"HTTP/1.1 302 Found\r\n\r\n", r"does not connect \(status 302\)"),
        (b"", "the proxy closed the connection"),
        (b"HTTP/1.1 20", "the proxy closed the connection"),
        (b"SOCKS\r\n\r\n", "the proxy: the answer is not HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 300_000, "the proxy: the answer"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000, "the proxy: the answer"),
        (b"HTTP/1.1 200 OK\r\n\r\nnot a TLS record", "(TLS handshake failed|was reset)"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "the connection was reset while it was being opened"),
    ],
)
@pytest.mark.parametrize("how", ["fin", "rst"])
def test_tunnels_that_do_not_open(run: Run, answer: bytes, words: str, how: str) -> None:
    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        await asyncio.sleep(0.005)
        if how == "rst":
            reset(writer)

    async def main():
        async with behind(handle, "https://models.example") as upstream:
            with pytest.raises(UpstreamError, match=words.replace("closed", "(closed|broke)")) as e:
                await fetch(upstream)
            assert not e.value.sent
            assert upstream.pool.open == 0

    run(main())


def test_interim_answers_and_a_length_do_not_hold_the_tunnel_up(run: Run, tls: TLS) -> None:
    async def main():
        async with serve(repeating(OK), ssl=tls[0]) as port:

            class Chatty(ForwardProxy):
                async def handle(self, reader, writer):
                    writer.write(b"HTTP/1.1 102 Processing\r\n\r\n")
                    await super().handle(reader, writer)

            proxy = Chatty({"localhost:443": port})
            async with behind(proxy.handle, "https://localhost", ssl_context=tls[1]) as upstream:
                assert await fetch(upstream) == (200, b"ok")

    run(main())


def test_a_silent_proxy_is_bounded_by_the_connect_deadline(run: Run) -> None:
    async def handle(reader, writer):
        await reader.read()

    async def main():
        async with behind(handle, "https://models.example", connect_timeout_s=0.03) as upstream:
            with pytest.raises(UpstreamTimeoutError, match="connecting") as caught:
                await fetch(upstream)
            assert not caught.value.sent
            assert upstream.pool.open == 0

    run(main())


def test_nobody_at_the_address_of_the_proxy(run: Run) -> None:
    async def main():
        proxy = parse_proxy("http://user:s3cret@127.0.0.1:1", "proxy")
        async with client(0, base_url="https://models.example", proxy=proxy) as upstream:
            with pytest.raises(UpstreamError, match=r"^the proxy: connection refused$"):
                await fetch(upstream)

    run(main())


def test_a_custom_authority_from_the_configuration(run: Run, tls: TLS, certificate) -> None:
    async def main():
        context = client_context(str(certificate[0]))
        blind = client_context(verify=False)
        async with serve(repeating(OK), ssl=tls[0]) as port:
            for host, ssl_context in (("localhost", context), ("127.0.0.1", blind)):
                async with client(
                    0, base_url=f"https://{host}:{port}", ssl_context=ssl_context
                ) as upstream:
                    reply = await upstream.send(POST)
                    assert await read_all(reply) == b"ok"

    run(main())
