"""The HTTP/1.1 client: `ports.Upstream` over a pool of connections to one server."""

import asyncio
import functools
import socket
import ssl

from tollbridge.app.ports import (
    UpstreamBusyError,
    UpstreamError,
    UpstreamRequest,
    UpstreamTimeoutError,
)
from tollbridge.config import UpstreamConfig
from tollbridge.upstream.connection import Connection, Reply
from tollbridge.upstream.origin import parse_origin
from tollbridge.upstream.pool import Pool
from tollbridge.upstream.request import encode_head, static_lines
from tollbridge.upstream.response import Response

IDLE_KEEP_S = 30.0
"""How long an unused connection is kept: below the 60 s and more after which servers and the
boxes in between drop one without a word."""


THREAD_PER_CONNECTION = frozenset({"llama.cpp"})
"""Dialects whose servers give one of a few threads to each open connection: an idle one would keep
the next request waiting for seconds."""


class HttpUpstream:
    """A server that runs models. Belongs to the event loop on which it is first used.

    Three deadlines bound a request: `connect_timeout_s` for a free place in the pool and again
    for the connection with its TLS handshake, `first_byte_timeout_s` from sending to the head of
    the answer, `idle_timeout_s` for each wait for more of it. No error message names the server.
    """

    def __init__(
        self,
        base_url: str,
        *,
        connect_timeout_s: float = 5.0,
        first_byte_timeout_s: float = 120.0,
        idle_timeout_s: float = 300.0,
        connections_max: int = 512,
        keep_alive: bool = True,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """Connects to nothing yet.

        Raises:
            ValueError: the base URL cannot be used.
        """
        self._origin = parse_origin(base_url)
        self._static = static_lines(self._origin, keep_alive=keep_alive)
        self._connect_timeout_s = connect_timeout_s
        self._first_byte_timeout_s = first_byte_timeout_s
        self._idle_timeout_s = idle_timeout_s
        self._ssl_context = ssl_context
        self._pool: Pool[Connection] = Pool(connections_max)
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    @classmethod
    def from_config(cls, config: UpstreamConfig) -> "HttpUpstream":
        """The client for an entry of the operator's file."""
        return cls(
            config.base_url,
            connect_timeout_s=config.connect_timeout_s,
            first_byte_timeout_s=config.first_byte_timeout_s,
            idle_timeout_s=config.idle_timeout_s,
            connections_max=config.connections_max,
            keep_alive=config.dialect not in THREAD_PER_CONNECTION,
        )

    @property
    def pool(self) -> Pool[Connection]:
        """For metrics: how many connections are open and idle, how many callers wait."""
        return self._pool

    async def send(self, request: UpstreamRequest) -> Reply:
        """See `Upstream.send`.

        Raises:
            UpstreamError: it could not be reached or broke off.
            UpstreamTimeoutError: no connection or no head within the deadline.
            UpstreamBusyError: no connection became free within the deadline.
            ValueError: a header cannot be sent.
        """
        head = encode_head(request, self._origin.prefix, self._static)
        reply: Reply | None = None
        while reply is None:  # a dead idle connection is gone after each round, so this ends
            connection = await self._checkout()
            response = Response(bodyless=request.method == "HEAD")
            reply = connection.start(head, request.body, response)
        reply.idle_timeout_s = self._idle_timeout_s
        await reply.head(self._first_byte_timeout_s)
        return reply

    async def close(self) -> None:
        """Close idle connections; those in use are closed when their exchanges end.

        A request sent later is served on a connection of its own, so that an exchange that began
        before a change of the configuration can still try again.
        """
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        idle = self._pool.idle_since(float("inf"))
        for connection in idle:
            connection.close()
        for connection in idle:
            await connection.wait_closed()

    async def _checkout(self) -> Connection:
        """A connection that can take a request at once."""
        pool = self._pool
        while True:
            connection = pool.take()
            if connection is None:
                if not pool.reserve():
                    connection = await self._turn()
                if connection is None:
                    return await self._open()
            if not connection.is_stale():
                return connection
            connection.close()

    async def _turn(self) -> Connection | None:
        """Stand in line for a connection, or for the permission to open one (None)."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Connection | None] = loop.create_future()
        self._pool.join(waiter)
        timer = loop.call_later(self._connect_timeout_s, self._give_up, waiter)
        try:
            return await waiter
        except BaseException:
            self._pool.leave(waiter)
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                granted = waiter.result()  # our turn came in the moment we were cancelled
                if granted is None:
                    self._pool.free_place()
                elif not granted.closed:
                    self._on_free(granted)
            raise
        finally:
            timer.cancel()

    def _give_up(self, waiter: asyncio.Future[Connection | None]) -> None:
        if not waiter.done():
            patience = f"no connection became free within {self._connect_timeout_s:g} s"
            waiter.set_exception(UpstreamBusyError(patience))

    async def _open(self) -> Connection:
        """Connect, in a place that is reserved; closing the connection gives it back."""
        loop = asyncio.get_running_loop()
        connection = Connection(loop, self._on_free)
        try:
            origin = self._origin
            if origin.tls and self._ssl_context is None:
                self._ssl_context = default_ssl_context()
            async with asyncio.timeout(self._connect_timeout_s):
                await loop.create_connection(
                    lambda: connection,
                    origin.host,
                    origin.port,
                    ssl=self._ssl_context if origin.tls else None,
                    server_hostname=origin.host if origin.tls else None,
                )
        except BaseException as error:
            connection.close()
            if isinstance(error, TimeoutError):
                patience = f"{self._connect_timeout_s:g} s connecting"
                # Without its cause, here and below: that names the server.
                raise UpstreamTimeoutError(f"timed out after {patience}", sent=False) from None
            if isinstance(error, OSError):
                raise UpstreamError(_connect_failure(error), sent=False) from None
            raise
        return connection

    def _on_free(self, connection: Connection) -> None:
        if connection.closed:
            self._pool.remove(connection)
        elif self._closed:
            connection.close()
        else:
            loop = connection.loop
            self._pool.put(connection, loop.time())
            if self._sweeper is None:
                self._sweeper = loop.call_later(IDLE_KEEP_S, self._sweep, loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close what has been idle for too long. One timer serves all connections."""
        for connection in self._pool.idle_since(loop.time() - IDLE_KEEP_S):
            connection.close()
        oldest = self._pool.oldest()
        self._sweeper = (
            None if oldest is None else loop.call_at(oldest + IDLE_KEEP_S, self._sweep, loop)
        )


@functools.cache
def default_ssl_context() -> ssl.SSLContext:
    """Verifies against the system's authorities.

    Made when the first TLS connection is: loading the authorities takes about 20 ms and some
    megabytes, which a gateway in front of local models never needs. All upstreams share it.
    """
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _connect_failure(error: OSError) -> str:
    """What happened, without the host that the system's own texts contain."""
    match error:
        case ssl.SSLCertVerificationError():
            return "the server's certificate could not be verified"
        case ssl.SSLError():
            return "the TLS handshake failed"
        case socket.gaierror():
            return "the server's name could not be resolved"
        case ConnectionRefusedError():
            return "connection refused"
        case ConnectionResetError() | ConnectionAbortedError() | BrokenPipeError():
            return "the connection was reset while it was being opened"
        case _:
            return "the server could not be reached"
