"""The data plane's server on a real socket against clients that split, flood, lie, stall and leave.

Each test says what the client saw; after each of them the server serves as before.
"""

import asyncio
import contextlib
import socket
from pathlib import Path

import httptools
import pytest
from tests.contract.edge import HEALTH, QUICK, STREAM, Edge, chunked, hostile, post
from tests.fakes.bodies import message_start, text_delta
from tests.fakes.exchange_parts import HANG, Step
from tests.fakes.wire_client import AnswerStream
from tests.fakes.world import KEY

from tollbridge.server.connection import CONTINUE
from tollbridge.units import HEAD_BYTES_MAX, MIB, PIPELINED_MAX

# Requests that are right, in unusual pieces.


def test_a_request_split_at_every_byte(tmp_path: Path):
    request = post()

    async def scenario(edge: Edge) -> None:
        async with edge.peer() as peer:
            for number, at in enumerate(range(1, len(request)), 1):
                edge.answers()
                await peer.sent(request[:at])
                await asyncio.sleep(0)
                await peer.sent(request[at:])
                assert (await peer.answer(number)).status == 200
            edge.answers()
            for byte in request:
                await peer.sent(bytes([byte]))
                await asyncio.sleep(0)
            assert b"message_stop" in (await peer.answer(number + 1)).body

    hostile(tmp_path, scenario)


def test_pipelined_requests_are_answered_in_order(tmp_path: Path):
    async def scenario(edge: Edge) -> None:
        edge.answers()
        async with edge.peer() as peer:
            peer.send(HEALTH + post() + HEALTH + HEALTH)
            bodies = [(await peer.answer(number)).body for number in (1, 2, 3, 4)]
            assert [b'"ok"' in body for body in bodies] == [True, False, True, True]
            assert b"message_stop" in bodies[1]
            peer.send(HEALTH)
            assert (await peer.answer(5)).status == 200

    hostile(tmp_path, scenario)


def test_a_request_behind_a_stream_waits_for_its_end(tmp_path: Path):
    async def scenario(edge: Edge) -> None:
        reply = edge.answers(message_start(), text_delta("first"), HANG)
        async with edge.peer() as peer:
            peer.send(post() + HEALTH)
            await peer.began(b"first")
            await asyncio.sleep(0.05)
            assert not peer.answers.whole
            reply.abort()
            assert b"error" in (await peer.answer()).body
            assert (await peer.answer(2)).json() == {"status": "ok"}

    hostile(tmp_path, scenario)


def test_too_many_requests_ahead(tmp_path: Path):
    async def scenario(edge: Edge) -> None:
        async with edge.peer() as peer:
            peer.send(HEALTH * 2000)
            refused = await peer.answer(PIPELINED_MAX + 2)
            assert (refused.status, refused.headers["connection"]) == (400, "close")
            peer.half_close()
            await peer.closed()
            assert len(peer.answers.whole) == PIPELINED_MAX + 2

    hostile(tmp_path, scenario)


def test_http_1_0(tmp_path: Path):
    async def scenario(edge: Edge) -> None:
        edge.answers()
        for request in (HEALTH, post()):
            async with edge.peer() as peer:
                peer.send(request.replace(b"HTTP/1.1", b"HTTP/1.0"))
                await peer.closed()
                (answer,) = peer.answers.whole
                assert (answer.status, answer.headers["connection"]) == (200, "close")
                assert "transfer-encoding" not in answer.headers

    hostile(tmp_path, scenario)


def test_connection_close(tmp_path: Path):
    async def scenario(edge: Edge) -> None:
        edge.answers()
        for request in (HEALTH, post()):
            async with edge.peer() as peer:
                peer.send(request.replace(b"host: x", b"host: x\r\nconnection: close"))
                await peer.closed()
                (answer,) = peer.answers.whole
                assert (answer.status, answer.headers["connection"]) == (200, "close")

    hostile(tmp_path, scenario)


def test_absolute_targets_head_and_options(tmp_path: Path):
    async def scenario(edge: Edge) -> None:
        async with edge.peer() as peer:
            peer.send(HEALTH.replace(b"/healthz", b"http://other.test/healthz?x"))
            assert (await peer.answer()).json() == {"status": "ok"}
            peer.send(HEALTH.replace(b"GET /healthz", b"OPTIONS *"))
            answer = await peer.answer(2)
            assert (answer.status, answer.body) == (204, b"")
        async with edge.peer() as peer:
            peer.answers = AnswerStream(head_only=True)
            peer.send(HEALTH.replace(b"GET", b"HEAD"))
            assert (await peer.answer()).headers["content-length"] == "15"

    hostile(tmp_path, scenario)


def test_a_client_that_waits_to_be_asked(tmp_path: Path):
    async def scenario(edge: Edge) -> None:
        edge.answers()
        request = post(STREAM, "expect: 100-continue")
        head, body = request[: -len(STREAM)], STREAM
        async with edge.peer() as peer:
            peer.send(head)
            assert (await peer.answer()).status == 100
            peer.send(body)
            answer = await peer.answer(2)
            assert (answer.status, answer.headers.get("connection")) == (200, None)
            peer.send(HEALTH)
            await peer.answer(3)
        for refused in (
            head.replace(KEY.encode(), b"tb_nonsense"),
            head.replace(b"content-length: ", b"content-length: 9999"),
        ):
            async with edge.peer() as peer:
                peer.send(refused)
                answer = await peer.answer()
                assert answer.status in (401, 413), answer
                assert answer.headers["connection"] == "close"
                assert CONTINUE not in peer.answers.raw

    hostile(tmp_path, scenario)


def test_what_is_to_be_upgraded_is_served_as_it_is(tmp_path: Path):
    async def scenario(edge: Edge) -> None:
        edge.answers()
        edge.answers()
        lines = ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAMAAABk")
        async with edge.peer() as peer:
            for number in (1, 2):
                peer.send(post(STREAM, *lines))
                assert (await peer.answer(number)).status == 200

    hostile(tmp_path, scenario)


# Requests that are wrong.

TLS_HELLO = bytes.fromhex("1603010200010001fc0303") + bytes(range(256)) * 2


@pytest.mark.parametrize(
    "request_",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(30),
        TLS_HELLO,
        b"\x00" * 100,
        b"GET /healthz\r\n\r\n",
        b"GET /healthz HTTP/2.0\r\n\r\n",
        b"GET /healthz HTTP/1.1\nhost: x\n\n",
        b"GET /he althz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\n folded\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost : x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nx: a\x00b\r\n\r\n",
        post(STREAM, f"content-length: {len(STREAM)}"),
        post(STREAM, "transfer-encoding: chunked"),
        post(STREAM, "transfer-encoding: gzip"),
        post(STREAM).replace(b"content-length", b"transfer-encoding: chunked\r\ncontent-length"),
        post(STREAM).replace(b"content-length: ", b"content-length: -"),
        post(STREAM).replace(b"content-length: ", b"content-length: +"),
        post(STREAM).replace(b"content-length: ", b"content-length: 9999999999999999999999"),
        chunked(b"zz\r\n"),
        chunked(b"-1\r\n"),
        chunked(b"1\r\nabc\r\n0\r\n\r\n"),
        chunked(b"ffffffffffffffffff\r\n"),
        chunked(b"1\na\n0\n\n"),
    ],
)
def test_what_is_no_request(tmp_path: Path, request_: bytes):
    async def scenario(edge: Edge) -> None:
        for follows in (b"", HEALTH, b"x" * MIB):
            async with edge.peer() as peer:
                peer.send(request_ + follows)
                await peer.refused(400, "REQUEST_MALFORMED")

    hostile(tmp_path, scenario)


def test_a_tunnel_is_no_route(tmp_path: Path):
    async def scenario(edge: Edge) -> None:
        async with edge.peer() as peer:
            peer.send(b"CONNECT other.test:443 HTTP/1.1\r\nhost: other.test\r\n\r\n")
            assert (await peer.answer()).status in (404, 405)
            peer.send(HEALTH)
            assert (await peer.answer(2)).status == 200

    hostile(tmp_path, scenario)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * HEAD_BYTES_MAX * 20,
        b"GET / HTTP/1.1\r\nx: " + b"y" * HEAD_BYTES_MAX * 20,
        b"GET / HTTP/1.1\r\n" + b"".join(b"x%d: y\r\n" % n for n in range(1000)),
        b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 1000,
    ],
)
def test_huge_heads(tmp_path: Path, head: bytes):
    async def scenario(edge: Edge) -> None:
        async with edge.peer() as peer:
            await peer.sent(head + b"\r\n\r\n")
            await peer.refused(431, "REQUEST_TOO_LARGE")

    hostile(tmp_path, scenario)


LARGE = b"x" * (5 * MIB)


@pytest.mark.parametrize(
    "request_", [post(LARGE), chunked(b"500000\r\n" + LARGE + b"\r\n0\r\n\r\n")]
)
def test_a_body_too_large_is_told_to_a_client_that_sends_first(tmp_path: Path, request_: bytes):
    async def scenario(edge: Edge) -> None:
        async with edge.peer() as peer:
            await peer.sent(request_)
            answer = await peer.answer()
            assert (answer.status, answer.json()["code"]) == (413, "REQUEST_TOO_LARGE")
            peer.send(HEALTH)
            assert (await peer.answer(2)).status == 200, "the connection is as good as before"

    hostile(tmp_path, scenario)


def test_a_connection_is_used_again_after_refusals(tmp_path: Path):
    async def scenario(edge: Edge) -> None:
        edge.answers()
        async with edge.peer() as peer:
            peer.send(post(b"{}"))
            peer.send(post().replace(KEY.encode(), b"tb_nonsense"))
            peer.send(HEALTH.replace(b"/healthz", b"/nothing"))
            peer.send(post())
            statuses = [(await peer.answer(number)).status for number in (1, 2, 3, 4)]
            assert statuses == [400, 401, 404, 200]

    hostile(tmp_path, scenario)


# Clients that are slow.


@pytest.mark.parametrize("start", [HEALTH[:1], HEALTH[:-2]])
def test_a_slow_head(tmp_path: Path, start: bytes):
    async def scenario(edge: Edge) -> None:
        async with edge.peer() as peer:
            peer.send(start)
            await peer.refused(408, "REQUEST_TIMEOUT")

    hostile(tmp_path, scenario, QUICK)


def test_a_slow_body(tmp_path: Path):
    async def scenario(edge: Edge) -> None:
        async with edge.peer() as peer:
            peer.send(post(STREAM[:9], length=len(STREAM)))
            await peer.refused(408, "REQUEST_TIMEOUT")

    hostile(tmp_path, scenario, QUICK)


@pytest.mark.parametrize("request_", [b"", HEALTH])
def test_an_idle_connection_is_closed(tmp_path: Path, request_: bytes):
    async def scenario(edge: Edge) -> None:
        async with edge.peer() as peer:
            peer.send(request_)
            await peer.closed()
            assert len(peer.answers.whole) == bool(request_)

    hostile(tmp_path, scenario, QUICK)


def test_a_refused_body_that_does_not_end(tmp_path: Path):
    async def scenario(edge: Edge) -> None:
        async with edge.peer() as peer:
            peer.send(chunked().replace(KEY.encode(), b"tb_nonsense"))
            assert (await peer.answer()).status == 401
            await peer.closed()

    hostile(tmp_path, scenario, QUICK)


def test_a_client_that_never_reads(tmp_path: Path):
    word = "word " * 20_000
    steps = [message_start(), *[text_delta(word)] * 300]

    async def scenario(edge: Edge) -> None:
        reply = edge.answers(*steps)
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        with contextlib.closing(client):
            await edge.site.loop.sock_connect(client, ("127.0.0.1", edge.port))
            await edge.site.loop.sock_sendall(client, post())
            await edge.until(lambda: reply.aborted)
            left = len(reply._steps)
            assert left > 200, "no more is read of the model than the client's buffers hold"
        await edge.until(lambda: not edge.site.connections)
        (row,) = edge.world.usage()
        assert row["outcome"] == "client_gone"

    hostile(tmp_path, scenario, QUICK._replace(stalled_s=0.5))


# Clients that leave.


@pytest.mark.parametrize("how", ["leave", "reset", "half_close"])
@pytest.mark.parametrize("request_", [HEALTH[:5], post(STREAM[:9], length=len(STREAM)), HEALTH])
def test_a_client_that_leaves_early(tmp_path: Path, request_: bytes, how: str):
    async def scenario(edge: Edge) -> None:
        async with edge.peer() as peer:
            await peer.sent(request_)
            await edge.until(lambda: bool(edge.site.connections))
            await asyncio.sleep(0.01)
            getattr(peer, how)()
            await edge.until(lambda: not edge.site.connections)
        assert edge.world.usage() == []

    hostile(tmp_path, scenario)


@pytest.mark.parametrize("how", ["leave", "reset", "half_close"])
@pytest.mark.parametrize("steps", [[HANG], [message_start(), text_delta("first"), HANG]])
def test_a_client_that_leaves_while_the_model_speaks(tmp_path: Path, steps: list[Step], how: str):
    async def scenario(edge: Edge) -> None:
        reply = edge.answers(*steps)
        async with edge.peer() as peer:
            peer.send(post())
            await edge.until(lambda: bool(edge.world.servers["one"].replies))
            if len(steps) > 1:
                await peer.began(b"first")
            getattr(peer, how)()
            async with asyncio.timeout(1):
                while not reply.aborted:  # noqa: ASYNC110 - a test polls
                    await asyncio.sleep(0)
        await edge.until(lambda: not edge.site.connections)
        (row,) = edge.world.usage()
        assert row["outcome"] == "client_gone"

    hostile(tmp_path, scenario)


def test_a_client_that_leaves_with_requests_waiting(tmp_path: Path):
    async def scenario(edge: Edge) -> None:
        reply = edge.answers(message_start(), text_delta("first"), HANG)
        async with edge.peer() as peer:
            peer.send(post() + post() + post())
            await peer.began(b"first")
            peer.reset()
        # While requests wait the connection is not read, so that writing must find it out.
        async with asyncio.timeout(5):
            while not reply.aborted:
                await edge.world.beat(10)
        await edge.until(lambda: not edge.site.connections)
        assert len(edge.world.usage()) == 1, "what waited was never begun"

    hostile(tmp_path, scenario)


def test_the_parser_of_these_tests_refuses_what_is_no_answer():
    with pytest.raises(httptools.HttpParserError):
        AnswerStream().feed(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab")
    cut = AnswerStream()
    cut.feed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n")
    with pytest.raises(AssertionError, match="cut"):
        cut.close()
