"""The HTTP/1.1 client: `ports.Upstream` over a pool of connections to one server."""

import asyncio
import ssl
from collections.abc import Mapping
from math import inf

from tollbridge.app.ports import (
    UpstreamBusyError,
    UpstreamError,
    UpstreamRequest,
    UpstreamTimeoutError,
)
from tollbridge.config import UpstreamConfig
from tollbridge.units import HEADS_MAX, IDLE_KEEP_S, REUSE_S
from tollbridge.upstream.connection import Connection, Reply
from tollbridge.upstream.dial import Dialer
from tollbridge.upstream.origin import parse_origin
from tollbridge.upstream.pool import Pool
from tollbridge.upstream.proxy import Proxy, choose_proxy
from tollbridge.upstream.request import encode_head, end_head, static_lines
from tollbridge.upstream.resolve import Lookup, system_lookup
from tollbridge.upstream.response import Response
from tollbridge.upstream.tls import client_context

THREAD_PER_CONNECTION = frozenset({"llama.cpp"})
"""Dialects whose servers give one of a few threads to each open connection: an idle one would keep
the next request waiting for seconds."""


class HttpUpstream:
    """A server that runs models. Belongs to the event loop on which it is first used.

    Four deadlines bound a request: `connect_timeout_s` for a free place in the pool and again for
    the connection with its proxy and TLS, `first_byte_timeout_s` from sending to the head of the
    answer, `idle_timeout_s` for each wait for more of it, and `total_timeout_s`, if there is one,
    for all of it. No error message names the server.
    """

    def __init__(
        self,
        base_url: str,
        *,
        connect_timeout_s: float = 5.0,
        first_byte_timeout_s: float = 120.0,
        idle_timeout_s: float = 300.0,
        total_timeout_s: float | None = None,
        connections_max: int = 512,
        keep_alive: bool = True,
        proxy: Proxy | None = None,
        unix_socket: str = "",
        ssl_context: ssl.SSLContext | None = None,
        lookup: Lookup = system_lookup,
    ) -> None:
        """Connects to nothing yet.

        Raises:
            ValueError: the base URL cannot be used.
        """
        origin = parse_origin(base_url)
        self._prefix = origin.prefix
        self._static = static_lines(origin, keep_alive=keep_alive)
        self._target = ""
        self._forwarder: Proxy | None = None
        """A proxy that answers in the upstream's place, as it does to plain http."""
        if proxy is not None and not origin.tls:
            self._forwarder = proxy
            self._target = f"http://{origin.authority}"
            if proxy.authorization:
                self._static += f"\r\nproxy-authorization: {proxy.authorization}"
        self._dialer = Dialer(
            origin, proxy=proxy, unix_socket=unix_socket, ssl_context=ssl_context, lookup=lookup
        )
        self._connect_timeout_s = connect_timeout_s
        self._first_byte_timeout_s = first_byte_timeout_s
        self._idle_timeout_s = idle_timeout_s
        self._total_timeout_s = total_timeout_s
        self._heads: dict[tuple[str, str, tuple[tuple[str, str], ...]], bytes] = {}
        self._pool: Pool[Connection] = Pool(connections_max)
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    @classmethod
    def from_config(cls, config: UpstreamConfig, environ: Mapping[str, str]) -> "HttpUpstream":
        """The client for an entry of the operator's file; `environ` may name proxies.

        Raises:
            ValueError: beginning with the setting that cannot be used.
        """
        ssl_context = None
        if config.tls_ca or not config.tls_verify:
            ssl_context = client_context(config.tls_ca, verify=config.tls_verify)
        proxy = None
        if not config.unix_socket:
            proxy = choose_proxy(config.proxy, parse_origin(config.base_url), environ)
        return cls(
            config.base_url,
            connect_timeout_s=config.connect_timeout_s,
            first_byte_timeout_s=config.first_byte_timeout_s,
            idle_timeout_s=config.idle_timeout_s,
            total_timeout_s=config.total_timeout_s,
            connections_max=config.connections_max,
            keep_alive=config.dialect not in THREAD_PER_CONNECTION,
            proxy=proxy,
            unix_socket=config.unix_socket,
            ssl_context=ssl_context,
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
        head = end_head(self._head(request), request.body)
        total = self._total_timeout_s
        until = inf if total is None else asyncio.get_running_loop().time() + total
        reply: Reply | None = None
        while reply is None:  # a dead idle connection is gone after each round, so this ends
            connection = await self._checkout(until)
            response = Response(bodyless=request.method == "HEAD")
            reply = connection.start(head, request.body, response)
        if request.on_sent is not None:
            request.on_sent()
        reply.idle_timeout_s = self._idle_timeout_s
        if total is not None:
            reply.end_by(until, f"timed out after {total:g} s in all")
        await reply.head(self._first_byte_timeout_s)
        forwarder = self._forwarder
        if forwarder is not None and (
            reply.status == 407 or (reply.status == 401 and "proxy-authenticate" in reply.headers)
        ):
            reply.abort()
            raise UpstreamError(forwarder.refusal(reply.status), sent=False)
        return reply

    def _head(self, request: UpstreamRequest) -> bytes:
        """Requests differ in little but their bodies, so that heads are remembered."""
        key = (request.method, request.path, request.headers)
        head = self._heads.get(key)
        if head is None:
            head = encode_head(request, self._prefix, self._static, self._target)
            if len(self._heads) >= HEADS_MAX:
                self._heads.clear()
            self._heads[key] = head
        return head

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

    async def _checkout(self, until: float) -> Connection:
        """A connection that can take a request at once; `until` is on the loop's clock."""
        pool = self._pool
        while True:
            connection = pool.take()
            if connection is None:
                if not pool.reserve():
                    connection = await self._turn(until)
                if connection is None:
                    return await self._open(until)
            if not connection.is_stale():
                return connection
            connection.close()

    def _patience_s(self, loop: asyncio.AbstractEventLoop, until: float) -> float:
        """How long the next step of getting a connection may take."""
        return max(min(self._connect_timeout_s, until - loop.time()), 0.0)

    async def _turn(self, until: float) -> Connection | None:
        """Stand in line for a connection, or for the permission to open one (None)."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Connection | None] = loop.create_future()
        patience_s = self._patience_s(loop, until)
        self._pool.join(waiter)
        timer = loop.call_later(patience_s, _give_up, waiter, patience_s)
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

    async def _open(self, until: float) -> Connection:
        """Connect, in a place that is reserved; closing the connection gives it back."""
        loop = asyncio.get_running_loop()
        patience_s = self._patience_s(loop, until)
        connection = Connection(loop, self._on_free)
        connection.reuse_until = loop.time() + REUSE_S
        try:
            async with asyncio.timeout(patience_s):
                await self._dialer.open(connection)
        except TimeoutError:
            connection.close()
            patience = f"{round(patience_s, 2):g} s connecting"
            raise UpstreamTimeoutError(f"timed out after {patience}", sent=False) from None
        except BaseException:
            connection.close()
            raise
        return connection

    def _on_free(self, connection: Connection) -> None:
        if connection.closed:
            self._pool.remove(connection)
            return
        loop = connection.loop
        now = loop.time()
        if self._closed or now >= connection.reuse_until:
            connection.close()
        else:
            self._pool.put(connection, now)
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


def _give_up(waiter: asyncio.Future[Connection | None], patience_s: float) -> None:
    if not waiter.done():
        patience = f"no connection became free within {round(patience_s, 2):g} s"
        waiter.set_exception(UpstreamBusyError(patience))
