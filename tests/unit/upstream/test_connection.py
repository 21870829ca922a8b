"""One connection over a transport that a test controls; sockets are in the contract suite."""

import asyncio
import socket

import pytest

from tollbridge.app.ports import UpstreamError, UpstreamTimeoutError
from tollbridge.upstream.connection import BUFFER_BYTES_HIGH, JOIN_BYTES_MAX, Connection
from tollbridge.upstream.response import PIECE_BYTES, Response

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class FakeTransport:
    """Takes everything, or breaks at the first write."""

    def __init__(self) -> None:
        self.socket, self.peer = socket.socketpair()
        self.written: list[bytes] = []
        self.calls: list[str] = []
        self.unsent = 0
        self.broken = False

    def get_extra_info(self, name: str) -> socket.socket:
        assert name == "socket"
        return self.socket

    def write(self, data: bytes) -> None:
        self.writelines([data])

    def writelines(self, pieces) -> None:
        self.written += pieces

    def is_closing(self) -> bool:
        return self.broken

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def abort(self) -> None:
        self.calls.append("abort")

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")


class Rig:
    """A connection, its transport, and how often it said that it is free."""

    def __init__(self) -> None:
        self.freed: list[bool] = []
        loop = asyncio.get_running_loop()
        self.connection = Connection(loop, lambda connection: self.freed.append(connection.closed))
        self.transport = FakeTransport()
        self.connection.connection_made(self.transport)

    def __enter__(self) -> "Rig":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()
        self.connection.connection_lost(None)
        self.transport.socket.close()
        self.transport.peer.close()


def start(rig: Rig, body: bytes = b""):
    return rig.connection.start(b"HEAD", body, Response())


def test_small_bodies_are_joined_and_large_ones_are_not_copied() -> None:
    async def main():
        for size, pieces in ((JOIN_BYTES_MAX, 1), (JOIN_BYTES_MAX + 1, 2)):
            with Rig() as rig:
                body = b"x" * size
                start(rig, body)
                assert len(rig.transport.written) == pieces
                assert b"".join(rig.transport.written) == b"HEAD" + body
                assert pieces == 1 or rig.transport.written[1] is body

    asyncio.run(main())


def test_first_write_refused_on_a_used_connection_can_be_tried_elsewhere() -> None:
    async def main():
        with Rig() as rig:
            start(rig)
            rig.connection.data_received(OK)
            assert rig.freed == [False]
            rig.transport.broken = True
            assert start(rig) is None
            assert rig.freed == [False, True]

    asyncio.run(main())


def test_first_write_refused_on_a_new_connection_is_an_error() -> None:
    async def main():
        with Rig() as rig:
            rig.transport.broken = True
            with pytest.raises(UpstreamError) as caught:
                start(rig)
            assert not caught.value.sent
            assert rig.freed == [True]

    asyncio.run(main())


def test_unsent_request_bytes_forbid_reuse() -> None:
    async def main():
        with Rig() as rig:
            reply = start(rig)
            rig.transport.unsent = 1
            rig.connection.data_received(OK)
            assert rig.freed == [True]
            assert await reply.read() == b"ok"
            assert await reply.read() == b""

    asyncio.run(main())


def test_request_bytes_that_wait_below_tls_forbid_reuse() -> None:
    async def main():
        for unsent in (0, 1):
            with Rig() as rig:
                rig.connection.wire = FakeTransport()
                rig.connection.wire.unsent = unsent
                start(rig)
                rig.connection.data_received(OK)
                assert rig.freed == [bool(unsent)]
                rig.connection.wire.socket.close()
                rig.connection.wire.peer.close()

    asyncio.run(main())


def test_stale_when_the_kernel_has_something_to_read() -> None:
    async def main():
        with Rig() as rig:
            assert not rig.connection.is_stale()
            rig.transport.peer.send(b"x")
            assert rig.connection.is_stale()
        with Rig() as rig:
            rig.transport.peer.close()
            assert rig.connection.is_stale()
        assert rig.connection.is_stale()

    asyncio.run(main())


def test_data_while_idle_closes() -> None:
    async def main():
        with Rig() as rig:
            rig.connection.data_received(b"x")
            assert rig.freed == [True]
            rig.connection.data_received(b"y")
            rig.connection.eof_received()
            assert rig.freed == [True]
            assert rig.transport.calls == ["abort"]

    asyncio.run(main())


def test_pause_and_resume() -> None:
    async def main():
        with Rig() as rig:
            reply = start(rig)
            room = BUFFER_BYTES_HIGH - PIECE_BYTES
            rig.connection.data_received(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * room)
            assert rig.transport.calls == []
            rig.connection.data_received(b"x")
            rig.connection.data_received(b"x")
            assert rig.transport.calls == ["pause"]
            assert len(await reply.read()) == room + 2
            assert rig.transport.calls == ["pause", "resume"]

    asyncio.run(main())


def test_a_message_that_ends_while_paused_leaves_a_reading_connection() -> None:
    """TLS hands on what it had decrypted after it was told to pause."""

    async def main():
        with Rig() as rig:
            start(rig)
            head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (BUFFER_BYTES_HIGH + 2)
            rig.connection.data_received(head + b"x" * (BUFFER_BYTES_HIGH + 1))
            rig.connection.data_received(b"x")
            assert rig.transport.calls == ["pause", "resume"]
            assert rig.freed == [False]

    asyncio.run(main())


def test_a_reply_is_at_its_end_when_nothing_is_left_to_read() -> None:
    async def main():
        with Rig() as rig:
            reply = start(rig)
            rig.connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
            assert not reply.at_end
            rig.connection.data_received(b"ab")
            assert not reply.at_end
            assert await reply.read() == b"ab"
            assert reply.at_end

    asyncio.run(main())


def test_what_came_before_an_error_is_read_before_it() -> None:
    async def main():
        with Rig() as rig:
            reply = start(rig)
            rig.connection.data_received(OK[:-1])
            rig.connection.connection_lost(ConnectionResetError(104, "secret.example"))
            assert await reply.read() == b"o"
            for _ in range(2):
                with pytest.raises(
                    UpstreamError, match=r"^the connection broke in the middle of the answer$"
                ):
                    await reply.read()
            assert rig.freed == [True]
            reply.abort()

    asyncio.run(main())


def test_closed_before_it_was_made() -> None:
    async def main():
        freed = []
        connection = Connection(asyncio.get_running_loop(), freed.append)
        connection.close()
        connection.close()
        await connection.wait_closed()
        assert freed == [connection]
        transport = FakeTransport()
        connection.connection_made(transport)
        assert transport.calls == ["abort"]
        transport.socket.close()
        transport.peer.close()

    asyncio.run(main())


def test_one_timer_for_many_waits() -> None:
    """A later deadline leaves the timer alone, an earlier one moves it."""

    async def main():
        with Rig() as rig:
            connection = rig.connection
            start(rig)
            connection.watch(connection.loop.time() + 100)
            timer = connection._timer
            connection.watch(connection.loop.time() + 200)
            assert connection._timer is timer
            connection.watch(connection.loop.time() + 50)
            assert timer.cancelled()
            timer = connection._timer
        assert timer.cancelled()

    asyncio.run(main())


def test_a_timer_that_finds_nobody_waiting_is_not_set_again() -> None:
    async def main():
        with Rig() as rig:
            start(rig)
            rig.connection._on_timer()
            assert rig.connection._timer is None
            assert rig.freed == []

    asyncio.run(main())


def test_the_end_of_all_patience_comes_whether_or_not_anybody_waits() -> None:
    async def main():
        with Rig() as rig:
            reply = start(rig)
            rig.connection.data_received(OK[:-1])
            reply.end_by(rig.connection.loop.time(), "timed out in all")
            await asyncio.sleep(0.001)
            assert rig.freed == [True]
            assert await reply.read() == b"o"
            with pytest.raises(UpstreamTimeoutError, match="in all") as caught:
                await reply.read()
            assert caught.value.sent

    asyncio.run(main())


def test_an_exchange_that_has_ended_needs_no_end() -> None:
    async def main():
        with Rig() as rig:
            reply = start(rig)
            reply.end_by(rig.connection.loop.time() + 100, "timed out in all")
            rig.connection.data_received(OK)
            assert reply._last_call.cancelled()
            reply.end_by(rig.connection.loop.time(), "timed out in all")
            await asyncio.sleep(0)
            assert rig.freed == [False]

    asyncio.run(main())
