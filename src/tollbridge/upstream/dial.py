"""How a connection to an upstream is opened: through which socket, proxy and TLS."""

import asyncio
import errno
import socket
import ssl
from typing import cast

from tollbridge.app.ports import UpstreamError
from tollbridge.upstream.connection import Connection
from tollbridge.upstream.origin import Origin
from tollbridge.upstream.proxy import Proxy
from tollbridge.upstream.resolve import Address, Lookup, Resolver, race, system_lookup
from tollbridge.upstream.response import Response
from tollbridge.upstream.tls import default_context

KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""Seconds of silence, seconds between probes, and how many of them: the kernel finds out in a
minute about a server that vanished without a word, and boxes in between keep remembering us."""


class Dialer:
    """Opens connections to one upstream.

    Behind a proxy, https goes through a tunnel (CONNECT) with our TLS inside. Plain http does not:
    the proxy gets each request with the whole URL (RFC 9112, 3.2.2), for most proxies refuse
    tunnels to any port but 443.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        proxy: Proxy | None = None,
        unix_socket: str = "",
        ssl_context: ssl.SSLContext | None = None,
        lookup: Lookup = system_lookup,
    ) -> None:
        self._origin = origin
        self._proxy = proxy
        self._unix_socket = unix_socket
        self._ssl_context = ssl_context
        self._next = origin if proxy is None else proxy.origin
        """Whom the socket leads to."""
        self._resolver = Resolver(self._next.host, lookup)

    async def open(self, connection: Connection) -> None:
        """Connect and hand the transport to the connection.

        Raises:
            UpstreamError: it could not be opened. No message names a host.
        """
        loop, origin, proxy = connection.loop, self._origin, self._proxy
        whose = "" if proxy is None else "the proxy: "
        transport: asyncio.Transport | None = None
        try:
            transport = wire = await self._reach(loop)
            if proxy is not None and proxy.origin.tls:
                transport = await _start_tls(loop, transport, default_context(), proxy.origin)
            if proxy is not None and origin.tls:
                await _tunnel(transport, origin, proxy)
            whose = ""
            if origin.tls:
                context = self._ssl_context or default_context()
                transport = await _start_tls(loop, transport, context, origin)
            if transport is not wire:
                connection.wire = wire
            _hand_over(transport, connection)
        except BaseException as error:
            if transport is not None:
                transport.abort()
            if isinstance(error, OSError):
                # Without its cause: that names the server.
                raise UpstreamError(whose + connect_failure(error), sent=False) from None
            raise

    async def _reach(self, loop: asyncio.AbstractEventLoop) -> asyncio.Transport:
        """A socket that is connected, with an `_Opening`."""
        if self._unix_socket:
            transport, _ = await loop.create_unix_connection(_Opening, self._unix_socket)
            return transport

        async def attempt(address: Address) -> asyncio.Transport:
            transport, _ = await loop.create_connection(
                _Opening, address.host, self._next.port, family=address.family
            )
            return transport

        addresses = await self._resolver.addresses()
        transport = await race(addresses, attempt, lambda loser: loser.abort())
        _keep_alive(transport.get_extra_info("socket"))
        return transport


class _Opening(asyncio.Protocol):
    """Holds the place of the connection until it is open; hears the proxy's answer."""

    def __init__(self) -> None:
        self.ended = False
        """The peer has closed, or has spoken unasked."""
        self._answer: Response | None = None
        self._waiter: asyncio.Future[int] | None = None

    def wait_answer(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[int]:
        """The status of the answer to what is sent next."""
        self._answer = Response(bodyless=True)
        self._waiter = loop.create_future()
        return self._waiter

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._waiter is None:
            self.ended = True
            return
        try:
            self._answer.feed(data)
        except UpstreamError as error:
            self._end(UpstreamError(f"the proxy: {error}", sent=False))
            return
        if self._answer.ended:
            self._answer.close()
            if not self._waiter.done():
                self._waiter.set_result(self._answer.status)
            self._answer = None

    def eof_received(self) -> None:
        self.connection_lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        how = "closed" if exc is None else "broke"
        self._end(UpstreamError(f"the proxy {how} the connection", sent=False))

    def _end(self, error: UpstreamError) -> None:
        self.ended = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)


async def _tunnel(transport: asyncio.Transport, origin: Origin, proxy: Proxy) -> None:
    """Have the proxy connect to the origin. No byte of a request has been sent to it then."""
    opening = cast("_Opening", transport.get_protocol())
    lines = [f"CONNECT {origin.place} HTTP/1.1", f"host: {origin.place}"]
    if proxy.authorization:
        lines.append(f"proxy-authorization: {proxy.authorization}")
    if opening.ended or transport.is_closing():
        raise UpstreamError("the proxy closed the connection", sent=False)
    answer = opening.wait_answer(asyncio.get_running_loop())
    transport.write(("\r\n".join(lines) + "\r\n\r\n").encode("ascii"))
    status = await answer
    if status in (401, 407):  # a tunnel has no other 401 than the proxy's
        raise UpstreamError(proxy.refusal(status), sent=False)
    if not 200 <= status < 300:
        raise UpstreamError(f"the proxy does not connect (status {status})", sent=False)


def _hand_over(transport: asyncio.Transport, connection: Connection) -> None:
    opening = cast("_Opening", transport.get_protocol())
    if opening.ended or transport.is_closing():
        raise ConnectionResetError
    transport.set_protocol(connection)
    connection.connection_made(transport)


async def _start_tls(
    loop: asyncio.AbstractEventLoop,
    transport: asyncio.Transport,
    context: ssl.SSLContext,
    origin: Origin,
) -> asyncio.Transport:
    opening = transport.get_protocol()
    tls = await loop.start_tls(transport, opening, context, server_hostname=origin.host)
    if tls is None:  # the loop's word for a transport that closed meanwhile
        raise ConnectionResetError
    return tls


def _keep_alive(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        option = getattr(socket, name, None)  # not every system has them
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def connect_failure(error: OSError) -> str:
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
        case FileNotFoundError():
            return "the socket does not exist"
        case OSError(errno=errno.EMFILE | errno.ENFILE):
            return "the gateway has no file descriptor left for a connection"
        case _:
            return "the server could not be reached"
