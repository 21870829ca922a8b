"""One connection of a client: bytes in, requests out, one at a time.

The parser is llhttp's, which refuses what request smuggling is made of (a length told twice, a
length beside `transfer-encoding`). Requests that a client pipelines wait their turn, and no more
is read meanwhile. A connection has a deadline and no timer: the tick of its site looks at it.
"""

import asyncio
from collections import deque
from math import inf
from typing import cast

import httptools

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.server.head import (
    NOWHERE,
    check_form,
    head_size,
    head_too_large,
    malformed,
    path_of,
    without_upgrade,
)
from tollbridge.server.inbound import ClientGoneError, Request, body_too_slow
from tollbridge.server.long_body import give_place
from tollbridge.server.outbound import Answer
from tollbridge.server.site import Site
from tollbridge.units import BODY_BYTES_PER_S_MIN, HEAD_BYTES_MAX, HEADERS_MAX, PIPELINED_MAX
from tollbridge.wire.header_names import NAMES, name_in_lower_case

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(asyncio.Protocol):
    """Reads requests and has them served; `outbound.Wire` for their answers."""

    __slots__ = (
        "_answer", "_deaf", "_drain", "_headers", "_incoming", "_loop", "_parser", "_patience",
        "_receiving", "_repeated", "_site", "_task", "_transport", "_unframed", "_unsent",
        "_url", "_waiting", "choked", "deadline", "gone",
    )  # fmt: skip

    def __init__(self, site: Site) -> None:
        self.choked = False
        self.gone = False
        self.deadline = inf
        """On the loop's clock; what happens then depends on what the connection is at."""
        self._site = site
        self._loop = site.loop
        self._patience = site.patience
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._url = b""
        self._headers: dict[str, str] = {}
        self._repeated = 0
        """Headers beyond the first of their name."""
        self._unframed = 0
        """Bytes that have come since the last head or piece of a body was complete."""
        self._receiving: Request | None = None
        """Whose body is arriving."""
        self._incoming: Answer | None = None
        """To the request that came last."""
        self._waiting: deque[tuple[Request, Answer]] = deque()
        """Pipelined behind the one being served."""
        self._answer: Answer | None = None
        """Of the request being served."""
        self._task: asyncio.Task[None] | None = None
        """Kept, for the loop does not."""
        self._drain: asyncio.Future[None] | None = None
        self._unsent = 0
        """Bytes that the client had not taken when we last looked."""
        self._deaf = False
        """What comes now is not looked at: there is no telling where a request begins."""

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        # uvloop's transports have the methods of `asyncio.Transport` without being instances of it.
        self._transport = cast("asyncio.Transport", transport)
        self._site.connections.add(self)
        self.deadline = self._loop.time() + self._patience.head_s

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        if self._deaf or (parser := self._parser) is None:
            return
        if self._answer is None and self._receiving is None and not self._unframed:
            self.deadline = self._loop.time() + self._patience.head_s
        self._unframed += len(data)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # We go on in HTTP/1.1, as a server may (RFC 9110 section 7.8).
            rest = data[upgrade.args[0] :]
            if "upgrade" in self._headers:
                rest = without_upgrade(parser.get_method(), self._url, self._headers) + rest
            if rest:
                self.data_received(rest)
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, GatewayError) else malformed(str(error)))
        else:
            if self._unframed > HEAD_BYTES_MAX:
                self._refuse(head_too_large())
            elif self._receiving and self._incoming and not self._incoming.closing:
                # Behind a last request nothing may come: its parser has to see to that.
                assert self._transport is not None
                give_place(self._receiving, self, self._transport, self._placed)

    def eof_received(self) -> None:
        """Called by the loop. A client that has stopped sending is not waited for: the loop closes
        when it has taken what is written."""
        self._stall()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the loop's signature
        """Called by the loop."""
        self.gone = True
        self.deadline = inf
        if self._receiving is not None:
            self._receiving.fail(ClientGoneError())
        self._waiting.clear()
        self._undrain()
        self._parser = None  # it knows our methods: a cycle
        if self._answer is None:
            self._site.connections.discard(self)
        else:
            self._answer.lose()

    def pause_writing(self) -> None:
        """Called by the loop: the client is slow."""
        self.choked = True
        self._stall()

    def resume_writing(self) -> None:
        """Called by the loop."""
        self.choked = False
        if self._transport is None or not self._transport.is_closing():
            self._await_next()
        self._undrain()

    # The parser's side. What is raised here stops it and comes out of `feed_data`.

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._url = b""
        self._headers = {}
        self._repeated = 0

    def on_url(self, url: bytes) -> None:
        """A piece of the request's target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; those of one name are joined."""
        key = NAMES.get(name) or name_in_lower_case(name)
        headers = self._headers
        text = value.decode("latin-1")
        if key not in headers:
            headers[key] = text
        elif self._repeated < HEADERS_MAX:
            self._repeated += 1
            headers[key] = f"{headers[key]},{text}"
        else:
            raise head_too_large()

    def on_headers_complete(self) -> None:
        """The head is there: the request can be served while its body arrives."""
        headers, parser = self._headers, self._parser
        assert parser is not None
        if "upgrade" in headers and parser.should_upgrade():
            return  # the parser is about to stop before the body
        version = parser.get_http_version()
        check_form(version, headers, self._repeated)
        chunked = version == "1.1"
        # Cheap first: only when a body came along can the head be smaller than what has come.
        if self._unframed > HEAD_BYTES_MAX and head_size(self._url, headers) > HEAD_BYTES_MAX:
            raise head_too_large()
        if len(self._waiting) >= PIPELINED_MAX:
            raise malformed(f"More than {PIPELINED_MAX} requests came before their answers")
        invited = chunked and "expect" in headers and headers["expect"].lower() == "100-continue"
        request = self._receiving = Request(
            parser.get_method().decode("latin-1"),
            path_of(self._url, headers),
            headers,
            self._site.body_bytes_max,
            on_wanted=self._invite if invited else None,
        )
        # A client that waits to be asked for its body may send it or not once it has an answer.
        closing = invited or self._closes()
        answer = Answer(self, head_only=request.method == "HEAD", chunked=chunked, closing=closing)
        self._incoming = answer
        self._headers = NOWHERE
        self._unframed = 0
        self._serve(request, answer)

    def on_body(self, body: bytes) -> None:
        """A piece of the body. Each pays for a little more time."""
        assert self._receiving is not None
        self._unframed = 0
        self._receiving.feed(body)
        self.deadline += len(body) / BODY_BYTES_PER_S_MIN

    def _placed(self, size: int, whole: bool) -> None:
        """The same of a long body that does not come this way."""
        if whole:
            self._parser = httptools.HttpRequestParser(self)  # the old one waits for this body
        if not self._deaf:
            self.deadline += size / BODY_BYTES_PER_S_MIN
            if whole:
                self.on_message_complete()

    def on_message_complete(self) -> None:
        """The request is whole."""
        request, self._receiving = self._receiving, None
        if request is None:
            return  # set aside when its head was complete
        self._unframed = 0
        request.end()
        if not self.choked:
            self._await_next()

    # The answer's side.

    @property
    def date_line(self) -> str:
        """The header `date` (RFC 9110 section 6.6.1)."""
        return self._site.date_line

    def send(self, data: bytes, more: bytes = b"") -> None:
        """See `Wire`."""
        transport = self._transport
        if self.gone or transport is None or transport.is_closing():
            return
        if more:
            transport.writelines((data, more))
        else:
            transport.write(data)

    async def drained(self) -> None:
        """See `Wire`."""
        if self.choked and not self.gone:
            if self._drain is None:
                self._drain = self._loop.create_future()
            await asyncio.shield(self._drain)

    # The site's side.

    def expire(self) -> None:
        """The deadline has passed."""
        transport = self._transport
        assert transport is not None
        self.deadline = inf
        if self.choked or transport.is_closing():
            if transport.get_write_buffer_size() < self._unsent:
                self._stall()  # slow, but it takes what is written
            else:
                self.abort()
        elif self._deaf:
            self.abort()
        elif self._receiving is not None and self._answer is not None:
            self.cut(body_too_slow())
        elif self._unframed and self._receiving is None:
            self._refuse(
                GatewayError(ErrorCode.REQUEST_TIMEOUT, "The request's head came too slowly.")
            )
        else:
            self._close()

    def retire(self) -> None:
        """The site is stopping: close now, or after the answer under way."""
        if self._answer is None:
            self._close()
        else:
            self._answer.close_after()

    def cut(self, error: GatewayError) -> None:
        """Wait no longer for the rest of a body that is being read."""
        if self._receiving is not None and self._answer is not None:
            self._receiving.fail(error)
            self._answer.close_after()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    # What a connection is at.

    def _serve(self, request: Request, answer: Answer) -> None:
        """At once, or in its turn."""
        if self._answer is not None:
            self._waiting.append((request, answer))
            if self._transport is not None:
                self._transport.pause_reading()
            return
        self._answer = answer
        self._await_next()
        self._task = self._loop.create_task(self._run(request, answer))

    async def _run(self, request: Request, answer: Answer) -> None:
        try:
            await self._site.serve(request, answer)
        finally:
            self._done(request, answer)

    def _done(self, request: Request, answer: Answer) -> None:
        self._answer = self._task = None
        transport = self._transport
        if self.gone or transport is None:
            self._site.connections.discard(self)
        elif transport.is_closing():
            return
        elif not answer.finished:
            self.abort()  # half an answer must not look like a whole one
        elif answer.closing:
            self._hang_up(whole=request.ended)
        elif not request.ended:
            request.drop()  # the next one begins where this body ends
            self._await_next()
        elif self._waiting:
            self._serve(*self._waiting.popleft())
            if not self._waiting:
                transport.resume_reading()
        elif not self.choked:
            self._await_next()

    def _await_next(self) -> None:
        """Set the deadline for what the client has to do next."""
        patience = self._patience
        if self._receiving is not None and not self._waiting:
            grace = patience.body_s if self._answer is not None else patience.discard_s
        elif self._answer is not None:
            self.deadline = inf
            return
        else:
            grace = patience.head_s if self._unframed else patience.idle_s
        self.deadline = self._loop.time() + grace

    def _stall(self) -> None:
        """Give the client a while to take some of what is written."""
        assert self._transport is not None
        self._unsent = self._transport.get_write_buffer_size()
        self.deadline = self._loop.time() + self._patience.stalled_s

    def _close(self) -> None:
        """Close when everything written has been sent."""
        if self._transport is not None:
            self._transport.close()
            self._stall()

    def _hang_up(self, *, whole: bool) -> None:
        """Close after an answer. While the client is still sending, closing on it would break its
        connection before it has read the answer (RFC 9112 section 9.6): so it gets an end, and is
        listened to for a while.
        """
        transport = self._transport
        assert transport is not None
        if whole and not self._deaf:
            self._close()
        else:
            self._deaf = True
            self.deadline = self._loop.time() + self._patience.discard_s
            transport.write_eof()
            transport.resume_reading()

    def _closes(self) -> bool:
        parser = self._parser
        return self._site.draining or parser is None or not parser.should_keep_alive()

    def _invite(self) -> None:
        """The client waits to be asked for its body (RFC 9110 section 10.1.1)."""
        answer = self._answer
        if answer is not None and not answer.started:
            answer.closing = self._closes()
            self.send(CONTINUE)

    def _undrain(self) -> None:
        if self._drain is not None:
            self._drain.set_result(None)
            self._drain = None

    def _refuse(self, error: GatewayError) -> None:
        """This is no request that can be served: say so, and close."""
        self._deaf, receiving = True, self._receiving
        if receiving is not None and self._answer is None:
            self._hang_up(whole=False)  # it has its answer already
        elif receiving is not None:
            assert self._incoming is not None
            self._incoming.close_after()
            receiving.fail(error)
        else:
            path = path_of(self._url, dict(self._headers))
            request = Request("", path, self._headers, 0, refusal=error)
            request.end()
            self._serve(request, Answer(self, closing=True))
