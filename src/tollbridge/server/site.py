"""What the connections of one worker share: the application, the tick, and the end."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import NamedTuple, Protocol, cast

from tollbridge.app.ports import Clock
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.server.inbound import Request
from tollbridge.server.outbound import Answer
from tollbridge.units import (
    BACKLOG,
    BODY_GRACE_S,
    DISCARD_S,
    FLUSH_S,
    HEAD_S,
    IDLE_S,
    STALLED_S,
    Millis,
)

TICK_S = 1.0
FLUSH_STEP_S = 0.01

CONNECTIONS_MAX = 1_000_000
"""More than a process has descriptors for."""

Serve = Callable[[Request, Answer], Awaitable[None]]
"""Answers one request. Raises nothing."""


class Patience(NamedTuple):
    """Seconds that a client may take, see `units`."""

    head_s: float = HEAD_S
    body_s: float = BODY_GRACE_S
    idle_s: float = IDLE_S
    stalled_s: float = STALLED_S
    discard_s: float = DISCARD_S


class Member(Protocol):
    """A connection, as its site sees it."""

    deadline: float

    def expire(self) -> None:
        """The deadline has passed."""

    def retire(self) -> None:
        """The site is stopping."""

    def cut(self, error: GatewayError) -> None:
        """Wait no longer for the rest of a request's body."""

    def abort(self) -> None:
        """Close at once."""


class TurnedAway(asyncio.Protocol):
    """A connection that is one too many: there would be no descriptor left to serve it with."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        cast("asyncio.Transport", transport).abort()


class Site:
    """Connections of one listening socket. Belongs to the running loop."""

    def __init__(
        self,
        serve: Serve,
        clock: Clock,
        body_bytes_max: int,
        *,
        patience: Patience = Patience(),  # noqa: B008 - a tuple does not change
        connections_max: int = CONNECTIONS_MAX,
        tick_s: float = TICK_S,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.serve = serve
        self.body_bytes_max = body_bytes_max
        self.patience = patience
        self.connections: set[Member] = set()
        """Open, or still being answered."""
        self.draining = False
        self.turned_away = 0
        """Connections that were one too many."""
        self.on_tick: Callable[[], None] = lambda: None
        self.date_line = _date_line(clock())
        self._clock = clock
        self._connections_max = connections_max
        self._tick_s = tick_s
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def listen(
        self, listening: socket.socket, connect: Callable[[], asyncio.Protocol]
    ) -> None:
        """Accept connections from now on; `connect` makes the protocol of one."""

        def connected() -> asyncio.Protocol:
            if len(self.connections) < self._connections_max:
                return connect()
            self.turned_away += 1
            return TurnedAway()

        self._tick()
        self._server = await self.loop.create_server(connected, sock=listening, backlog=BACKLOG)

    def refuse(self) -> None:
        """Accept no more, and let each connection end with the answer it is at."""
        self.draining = True
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.retire()

    def cut(self) -> None:
        """Wait no longer for bodies that are still arriving."""
        for connection in list(self.connections):
            connection.cut(
                GatewayError(
                    ErrorCode.GATEWAY_STOPPING,
                    "The gateway is stopping, and this request is not whole yet; send it again.",
                )
            )

    async def close(self) -> None:
        """Wait for the last bytes to leave and the last answers to end, but not for ever."""
        await self._emptied()
        for connection in list(self.connections):
            connection.abort()
        await self._emptied()
        if self._timer is not None:
            self._timer.cancel()

    async def _emptied(self) -> None:
        deadline = self.loop.time() + FLUSH_S
        while self.connections and self.loop.time() < deadline:  # noqa: ASYNC110 - rare, and short
            await asyncio.sleep(FLUSH_STEP_S)

    def _tick(self) -> None:
        self._timer = self.loop.call_later(self._tick_s, self._tick)
        self.date_line = _date_line(self._clock())
        now = self.loop.time()
        for late in [member for member in self.connections if member.deadline <= now]:
            late.expire()
        self.on_tick()


def _date_line(now: Millis) -> str:
    return f"date: {formatdate(now / 1000, usegmt=True)}"
