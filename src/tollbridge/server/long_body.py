"""The way of a long body: read by the kernel to where it stays, past the parser and its copies."""

import asyncio
from collections.abc import Callable

from tollbridge.server.inbound import Request

NO_ROOM = memoryview(b"")
"""The loop may keep us: what is read is to be free of us nevertheless."""


def give_place(
    request: Request,
    connection: asyncio.Protocol,
    transport: asyncio.Transport,
    placed: Callable[[int, bool], None],
) -> None:
    """Have what is missing of a long body read to its place; `placed` is called with the size of
    each piece, and whether it was the last one: then the connection has its transport back."""
    room = request.place()
    if room is not None:
        transport.set_protocol(LongBody(room, connection, transport, placed))


class LongBody(asyncio.BufferedProtocol):
    """Has a connection's transport until there is no more room: nothing behind the body is read."""

    __slots__ = ("_connection", "_placed", "_room", "_transport")

    def __init__(
        self,
        room: memoryview,
        connection: asyncio.Protocol,
        transport: asyncio.Transport,
        placed: Callable[[int, bool], None],
    ) -> None:
        self._room = room
        self._connection = connection
        self._transport = transport
        self._placed = placed

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the loop's signature
        """Called by the loop."""
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        """Called by the loop."""
        whole = nbytes == len(self._room)
        self._room = self._room[nbytes:] if not whole else NO_ROOM
        if whole:
            self._transport.set_protocol(self._connection)
        self._placed(nbytes, whole)

    def eof_received(self) -> None:
        """Called by the loop, as the others: they are the connection's business."""
        self._connection.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        """Called by the loop."""
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        """Called by the loop."""
        self._connection.resume_writing()
