"""The HTTP client against servers that break off, lie and never come to an end."""

import asyncio
import itertools
import socket
from collections.abc import Iterator

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

from tollbridge.app.ports import UpstreamError, UpstreamRequest, UpstreamTimeoutError
from tollbridge.upstream.response import OVERHEAD_BYTES_MAX

CHUNKED = b"HTTP/1.1 200 OK\r\nx: y\r\ntransfer-encoding: chunked\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\n"
BODY = b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"


async def outcome(upstream, request=POST):
    """What a caller sees: the body, the error at its end (or None), whether a head came."""
    try:
        reply = await upstream.send(request)
    except UpstreamError as error:
        return b"", error, False
    body = b""
    try:
        while data := await reply.read():
            body += data
    except UpstreamError as error:
        return body, error, True
    return body, None, True


def body_in(raw: bytes) -> bytes:
    """The body bytes in a prefix of `BODY`."""
    return raw[3:6] + raw[11:15]


LENGTH = b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "rest", "plain"), [(CHUNKED, BODY, body_in), (LENGTH, b"abcdefg", bytes)]
)
@pytest.mark.parametrize("how", ["fin", "rst"])
def test_cut_at_every_byte(run: Run, how: str, head: bytes, rest: bytes, plain) -> None:
    whole = head + rest
    cut = 0

    async def handle(reader, writer):
        await read_request(reader)
        writer.write(whole[:cut])
        await writer.drain()
        if how == "rst":
            reset(writer)

    async def main():
        nonlocal cut
        async with serve(handle) as port:
            for cut in range(len(whole)):
                async with client(port) as upstream:
                    body, error, headed = await outcome(upstream)
                    assert type(error) is UpstreamError, cut
                    assert error.sent
                    expected = plain(whole[len(head) : cut])
                    assert expected.startswith(body)
                    assert not headed or cut >= len(head)
                    assert upstream.pool.open == 0
                    if how == "fin":
                        assert headed == (cut >= len(head))
                        assert body == expected
                        assert "closed" in str(error)

    run(main())


@pytest.mark.parametrize("cut", [0, 1, 7])
def test_a_body_without_a_length_ends_with_fin_and_not_with_rst(run: Run, cut: int) -> None:
    async def handle(reader, writer):
        await read_request(reader)
        writer.write(HEAD + b"\r\n" + b"abcdefg"[:cut])
        await writer.drain()
        if resets:
            await asyncio.sleep(0.005)
            reset(writer)

    resets = False

    async def main():
        nonlocal resets
        async with serve(handle) as port, client(port) as upstream:
            assert await fetch(upstream) == (200, b"abcdefg"[:cut])
            resets = True
            body, error, headed = await outcome(upstream)
            assert (body, headed) == (b"abcdefg"[:cut], True)
            assert str(error) == "the connection broke in the middle of the answer"

    run(main())


def test_every_byte_in_its_own_segment(run: Run) -> None:
    whole = CHUNKED + BODY

    async def main():
        async with (
            serve(answering(*(whole[i : i + 1] for i in range(len(whole))))) as port,
            client(port) as upstream,
        ):
            assert await fetch(upstream) == (200, b"abcdefg")

    run(main())


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_hangs_up_on_accepting(run: Run, how: str) -> None:
    """Whether the end comes before or after the request is a race; it is the same error."""

    async def handle(reader, writer):
        if how == "rst":
            reset(writer)

    async def main():
        async with serve(handle) as port, client(port) as upstream:
            for size in (10, 1_000_000):
                request = UpstreamRequest("POST", "/", (), b"x" * size)
                for _ in range(50):
                    with pytest.raises(UpstreamError):
                        await upstream.send(request)
                    assert upstream.pool.open == 0

    run(main())


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ((b"",), "before the first byte"),
        ((b"HTTP/1.1 200 OK\r\ncontent-le",), "in the middle"),
        ((b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc",), "in the middle"),
        ((b"HTTP/1.1 100 Continue\r\n\r\n",), "in the middle"),
        ((b"SSH-2.0-OpenSSH_9.2\r\n",), "not HTTP/1.1"),
        ((b"HTTP/2 200\r\n\r\n",), "not HTTP/1.1"),
        ((CHUNKED, b"zz\r\nabc\r\n"), "not HTTP/1.1"),
        ((CHUNKED, b"2\r\nabc\r\n0\r\n\r\n"), "not HTTP/1.1"),
        ((CHUNKED, b"fffffffffffffffff\r\nabc\r\n"), "not HTTP/1.1"),
        ((CHUNKED, b"0x3\r\nabc\r\n"), "not HTTP/1.1"),
        ((CHUNKED, b"+3\r\nabc\r\n"), "not HTTP/1.1"),
        ((CHUNKED, b" 3\r\nabc\r\n"), "not HTTP/1.1"),
        ((CHUNKED, b"\r\nabc\r\n"), "not HTTP/1.1"),
        ((CHUNKED, b"3\nabc\n0\n\n"), "not HTTP/1.1"),
        ((CHUNKED, b"3\r\nabc0\r\n\r\n"), "not HTTP/1.1"),
        ((HEAD + b"content-length: 3\r\ncontent-length: 3\r\n\r\nabc",), "not HTTP/1.1"),
        ((HEAD + b"content-length: 3, 3\r\n\r\nabc",), "not HTTP/1.1"),
        ((HEAD + b"content-length: +3\r\n\r\nabc",), "not HTTP/1.1"),
        ((HEAD + b"content-length: 3x\r\n\r\nabc",), "not HTTP/1.1"),
        ((HEAD + b"content-length:\r\n\r\nabc",), "not HTTP/1.1"),
        ((HEAD + b"content-length: " + b"9" * 30 + b"\r\n\r\nabc",), "not HTTP/1.1"),
        ((HEAD + b"content-length: 3\r\ntransfer-encoding: x\r\n\r\nabc",), "not HTTP/1.1"),
        ((HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n",), "transfer-encoding"),
        ((HEAD + b"content-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc",), "compressed"),
        ((HEAD + b"x : y\r\n\r\n",), "not HTTP/1.1"),
        ((HEAD + b"x: a\r\n folded\r\n\r\n",), "not HTTP/1.1"),
        ((HEAD + b"x: a\x00b\r\n\r\n",), "not HTTP/1.1"),
        ((HEAD + b"x: a\rb\r\n\r\n",), "not HTTP/1.1"),
        ((b"HTTP/1.1 20 OK\r\n\r\n",), "not HTTP/1.1"),
        ((b"HTTP/1.1 099 OK\r\n\r\n",), "not HTTP/1.1"),
        ((b"HTTP/1.1  200 OK\r\n\r\n",), "not HTTP/1.1"),
        ((CHUNKED, b"-1\r\nabc\r\n"), "not HTTP/1.1"),
        ((b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nab",), "not HTTP/1.1"),
        ((b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nab",), "not HTTP/1.1"),
        ((CHUNKED[:-2] + b"content-length: 3\r\n\r\n3\r\nabc\r\n",), "not HTTP/1.1"),
    ],
)
def test_broken_answers(run: Run, pieces: tuple[bytes, ...], words: str) -> None:
    async def main():
        async with serve(answering(*pieces)) as port, client(port) as upstream:
            _, error, _ = await outcome(upstream)
            assert words in str(error)
            assert upstream.pool.open == 0
            assert error.sent
            assert not isinstance(error, UpstreamTimeoutError)

    run(main())


@pytest.mark.parametrize(
    "start", [b"HTTP/1.1 200 OK\r\nx: ", CHUNKED + b"1;", CHUNKED + b"0\r\nx: "]
)
def test_endless_overhead_is_refused(run: Run, start: bytes) -> None:
    sent = 0

    async def handle(reader, writer):
        nonlocal sent
        await read_request(reader)
        writer.write(start)
        while True:
            writer.write(b"a" * 8192)
            sent += 8192
            await writer.drain()

    async def main():
        async with serve(handle) as port, client(port) as upstream:
            _, error, _ = await outcome(upstream)
            assert str(OVERHEAD_BYTES_MAX) in str(error) or "not HTTP/1.1" in str(error)
            assert upstream.pool.open == 0

    run(main())


@pytest.mark.parametrize("extra", [b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b"junk", b"H"])
@pytest.mark.parametrize("together", [True, False])
def test_bytes_after_the_message_end_the_connection(run: Run, extra: bytes, together: bool) -> None:
    connections = 0

    async def handle(reader, writer):
        nonlocal connections
        connections += 1
        await read_request(reader)
        if together:
            writer.write(OK + extra)
        else:
            writer.write(OK)
            await asyncio.sleep(0.005)
            writer.write(extra)
        await reader.read()

    async def main():
        async with serve(handle) as port, client(port) as upstream:
            assert await fetch(upstream) == (200, b"ok")
            await until(lambda: not upstream.pool.open)
            assert await fetch(upstream) == (200, b"ok")
            assert connections == 2

    run(main())


@pytest.mark.parametrize("piece", [b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"])
def test_endless_interim_responses_are_refused(run: Run, piece: bytes) -> None:
    async def handle(reader, writer):
        await read_request(reader)
        while True:
            writer.write(piece * 100)
            await writer.drain()

    async def main():
        async with serve(handle) as port, client(port) as upstream:
            _, error, headed = await outcome(upstream)
            assert f"the answer's head is longer than {OVERHEAD_BYTES_MAX} bytes" in str(error)
            assert not headed
            assert upstream.pool.open == 0

    run(main())


def test_a_head_that_trickles_runs_into_the_first_byte_deadline(run: Run) -> None:
    async def handle(reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nx: ")
        while True:
            writer.write(b"y")
            await writer.drain()
            await asyncio.sleep(0.002)

    async def main():
        async with serve(handle) as port, client(port, first_byte_timeout_s=0.05) as upstream:
            _, error, headed = await outcome(upstream)
            assert isinstance(error, UpstreamTimeoutError)
            assert not headed
            assert upstream.pool.open == 0

    run(main())


def test_100_continue_first(run: Run) -> None:
    interim = b"HTTP/1.1 100 Continue\r\nx-interim: 1\r\n\r\n"

    async def main():
        for pieces in ((interim, OK), (interim + interim + OK,)):
            async with serve(answering(*pieces)) as port, client(port) as upstream:
                reply = await upstream.send(POST)
                assert reply.status == 200
                assert dict(reply.headers) == {"content-length": "2"}
                assert await read_all(reply) == b"ok"

    run(main())


def test_unasked_upgrade_is_an_answer_without_a_body(run: Run) -> None:
    answer = b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n\x00\x01"

    async def main():
        async with serve(answering(answer)) as port, client(port) as upstream:
            assert await fetch(upstream) == (101, b"")
            assert upstream.pool.open == 0

    run(main())


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and those that are told with its traceback."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_messages_name_neither_host_nor_secret(run: Run) -> None:
    async def no_tls(reader, writer):
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async def main():
        errors = []
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            async with client(bound.getsockname()[1]) as upstream:
                errors.append((await outcome(upstream))[1])
        async with serve(answering(b"junk")) as port, client(port) as upstream:
            errors.append((await outcome(upstream))[1])
        async with (
            serve(no_tls) as port,
            client(port, base_url=f"https://127.0.0.1:{port}") as upstream,
        ):
            errors.append((await outcome(upstream))[1])
        assert [error.sent for error in errors] == [False, True, False]
        assert str(errors[0]) == "connection refused"
        assert str(errors[2]) == "the TLS handshake failed"
        for told in map(str, itertools.chain.from_iterable(map(chain, errors))):
            for word in ("127.0.0.1", "s3cret"):
                assert word not in told

    run(main())
