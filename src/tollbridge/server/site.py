"""What the connections of one worker share: the application, the tick, and the end."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Protocol

from tollbridge.app.ports import Clock
from tollbridge.server.inbound import Request
from tollbridge.server.outbound import Answer

TICK_S = 1.0
FLUSH_S = 2.0
"""How long the last bytes of a stopping worker may take to leave."""
BACKLOG = 4096
"""Connections that the kernel keeps until a worker takes them."""

Serve = Callable[[Request, Answer], Awaitable[None]]
"""Answers one request. Raises nothing."""


class Member(Protocol):
    """A connection, as its site sees it."""

    deadline: float

    def expire(self) -> None:
        """The deadline has passed."""

    def retire(self) -> None:
        """The site is stopping."""

    def abort(self) -> None:
        """Close at once."""


class Site:
    """Connections of one listening socket. Belongs to the running loop."""

    def __init__(self, serve: Serve, clock: Clock, body_bytes_max: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.serve = serve
        self.body_bytes_max = body_bytes_max
        self.connections: set[Member] = set()
        self.draining = False
        self.date_line = ""
        self._clock = clock
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def listen(
        self, listening: socket.socket, connect: Callable[[], asyncio.Protocol]
    ) -> None:
        """Accept connections from now on; `connect` makes the protocol of one."""
        self._tick()
        self._server = await self.loop.create_server(connect, sock=listening, backlog=BACKLOG)

    def refuse(self) -> None:
        """Accept no more, and let each connection end with the answer it is at."""
        self.draining = True
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.retire()

    async def close(self) -> None:
        """Wait for the last bytes to leave, but not for ever."""
        deadline = self.loop.time() + FLUSH_S
        while self.connections and self.loop.time() < deadline:  # noqa: ASYNC110 - rare, and short
            await asyncio.sleep(0.01)
        for connection in list(self.connections):
            connection.abort()
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        self.date_line = f"date: {formatdate(self._clock() / 1000, usegmt=True)}"
        now = self.loop.time()
        for late in [member for member in self.connections if member.deadline <= now]:
            late.expire()
        self._timer = self.loop.call_later(TICK_S, self._tick)
