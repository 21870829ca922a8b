"""One connection of a client: bytes in, requests out, one at a time.

The parser is llhttp's, which refuses what request smuggling is made of (a length told twice, a
length beside `transfer-encoding`). Requests that a client pipelines wait their turn, and no more
is read meanwhile. A connection has a deadline and no timer: the tick of its site looks at it.
"""

import asyncio
from collections import deque
from math import inf
from typing import cast
from urllib.parse import unquote

import httptools

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.server.inbound import ClientGoneError, Request
from tollbridge.server.outbound import Answer
from tollbridge.server.site import Site
from tollbridge.units import (
    BODY_BYTES_PER_S_MIN,
    BODY_GRACE_S,
    HEAD_BYTES_MAX,
    HEAD_S,
    HEADERS_MAX,
    IDLE_S,
    STALLED_S,
)

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_NAMES_MAX = 1_000
_names: dict[bytes, str] = {}
"""Header names in lower case: the same few come with every request."""


class Connection(asyncio.Protocol):
    """Reads requests and has them served; `outbound.Wire` for their answers."""

    __slots__ = (
        "_answer", "_drain", "_head_bytes", "_headers", "_loop", "_parser", "_receiving",
        "_site", "_task", "_transport", "_url", "_waiting", "choked", "deadline",
        "gone",
    )  # fmt: skip

    def __init__(self, site: Site) -> None:
        self.choked = False
        self.gone = False
        self.deadline = inf
        """On the loop's clock; what happens then depends on what the connection is at."""
        self._site = site
        self._loop = site.loop
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._url = b""
        self._headers: dict[str, str] = {}
        self._head_bytes = 0
        self._receiving: Request | None = None
        """Whose body is arriving."""
        self._waiting: deque[tuple[Request, Answer]] = deque()
        """Pipelined behind the one being served."""
        self._answer: Answer | None = None
        """Of the request being served."""
        self._task: asyncio.Task[None] | None = None
        self._drain: asyncio.Future[None] | None = None

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        # uvloop's transports have the methods of `asyncio.Transport` without being instances of it.
        self._transport = cast("asyncio.Transport", transport)
        self._site.connections.add(self)
        self.deadline = self._loop.time() + HEAD_S

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        if self._receiving is None:
            if not self._head_bytes and self._answer is None:
                self.deadline = self._loop.time() + HEAD_S
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # refused when its head was complete
        except httptools.HttpParserError as error:
            self._refuse(ErrorCode.REQUEST_MALFORMED, f"This is not a request in HTTP/1.1: {error}")
        else:
            if self._receiving is None and self._head_bytes > HEAD_BYTES_MAX:
                self._refuse_head()

    def eof_received(self) -> None:
        """Called by the loop. A client that has stopped sending is not waited for."""

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the loop's signature
        """Called by the loop."""
        self.gone = True
        self._site.connections.discard(self)
        if self._receiving is not None:
            self._receiving.fail(ClientGoneError())
        if self._answer is not None:
            self._answer.lose()
        for request, _ in self._waiting:
            request.fail(ClientGoneError())
        self._waiting.clear()
        self._undrain()

    def pause_writing(self) -> None:
        """Called by the loop: the client is slow."""
        self.choked = True
        self.deadline = self._loop.time() + STALLED_S

    def resume_writing(self) -> None:
        """Called by the loop."""
        self.choked = False
        self.deadline = inf
        self._undrain()

    # The parser's side.

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._url = b""
        self._headers = {}

    def on_url(self, url: bytes) -> None:
        """A piece of the request's target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; those of one name are joined."""
        key = _names.get(name) or _lower(name)
        headers = self._headers
        text = value.decode("latin-1")
        headers[key] = f"{headers[key]},{text}" if key in headers else text

    def on_headers_complete(self) -> None:
        """The head is there: the request can be served while its body arrives."""
        headers, parser = self._headers, self._parser
        refusal: GatewayError | None = None
        if len(headers) > HEADERS_MAX:
            refusal = _too_large()
        elif parser.should_upgrade():
            refusal = GatewayError(
                ErrorCode.REQUEST_MALFORMED,
                "This server speaks HTTP/1.1 only; leave out the header `upgrade`.",
            )
        invited = "expect" in headers and headers["expect"].lower() == "100-continue"
        request = self._receiving = Request(
            parser.get_method().decode("latin-1"),
            _path(self._url),
            headers,
            self._site.body_bytes_max,
            on_wanted=self._invite if invited else None,
            refusal=refusal,
        )
        answer = Answer(
            self,
            head_only=request.method == "HEAD",
            chunked=parser.get_http_version() != "1.0",
            closing=self._site.draining,
        )
        self._head_bytes = 0
        if self._answer is None:
            self._serve(request, answer)
        else:
            self._waiting.append((request, answer))
            if self._transport is not None:
                self._transport.pause_reading()

    def on_body(self, body: bytes) -> None:
        """A piece of the body. Each pays for a little more time."""
        assert self._receiving is not None
        self._receiving.feed(body)
        self.deadline += len(body) / BODY_BYTES_PER_S_MIN

    def on_message_complete(self) -> None:
        """The request is whole."""
        request, self._receiving = self._receiving, None
        assert request is not None
        request.end(keep_alive=request.refusal is None and self._parser.should_keep_alive())
        if not self.choked:
            self.deadline = inf

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

    def close(self) -> None:
        """Close when everything written has been sent."""
        if self._transport is not None:
            self._transport.close()

    # The site's side.

    def expire(self) -> None:
        """The deadline has passed."""
        self.deadline = inf
        receiving = self._receiving
        if self.choked:
            self.abort()  # nobody takes what is written
        elif receiving is not None:
            receiving.fail(
                GatewayError(
                    ErrorCode.REQUEST_TIMEOUT,
                    "The request body came too slowly; send it again over a better connection.",
                )
            )
        elif self._head_bytes:
            self._refuse(ErrorCode.REQUEST_TIMEOUT, "The request's head came too slowly.")
        else:
            self.close()

    def retire(self) -> None:
        """The site is stopping: close now, or after the answer under way."""
        if self._answer is None:
            self.close()
        else:
            self._answer.close_after()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def _serve(self, request: Request, answer: Answer) -> None:
        self._answer = answer
        self.deadline = inf if request.ended else self._loop.time() + BODY_GRACE_S
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
            return
        if not answer.finished:
            self.abort()  # half an answer must not look like a whole one
        elif answer.closing or not (request.ended and request.keep_alive):
            self.close()  # what was not read of a body cannot be told from the next request
        elif self._waiting:
            self._serve(*self._waiting.popleft())
            if not self._waiting:
                transport.resume_reading()
        else:
            self.deadline = self._loop.time() + (HEAD_S if self._head_bytes else IDLE_S)

    def _invite(self) -> None:
        """The client waits to be asked for its body (RFC 9110 section 10.1.1)."""
        if self._answer is not None and not self._answer.started:
            self.send(CONTINUE)

    def _undrain(self) -> None:
        if self._drain is not None:
            self._drain.set_result(None)
            self._drain = None

    def _refuse_head(self) -> None:
        error = _too_large()
        self._refuse(error.code, error.message)

    def _refuse(self, code: ErrorCode, message: str) -> None:
        """This is no request that can be served: say so, and close."""
        error = GatewayError(code, message)
        if self._receiving is not None:
            self._receiving.fail(error)  # in the middle of its body
            self._receiving = None
            return
        self._head_bytes = 0
        request = Request("", "", {}, 0, refusal=error)
        request.end(keep_alive=False)
        answer = Answer(self, closing=True)
        if self._answer is None:
            self._serve(request, answer)
        else:
            self._waiting.append((request, answer))
        if self._transport is not None:
            self._transport.pause_reading()


def _lower(name: bytes) -> str:
    key = name.lower().decode("latin-1")
    if len(_names) < _NAMES_MAX:
        _names[name] = key
    return key


def _path(url: bytes) -> str:
    """The path of a request's target, in origin form or absolute form (RFC 9112 section 3.2)."""
    if not url.startswith(b"/"):
        try:
            url = httptools.parse_url(url).path or b"/"
        except httptools.HttpParserInvalidURLError:
            return ""
    path = url.partition(b"?")[0].decode("latin-1")
    return unquote(path, errors="surrogateescape") if "%" in path else path


def _too_large() -> GatewayError:
    return GatewayError(
        ErrorCode.HEAD_TOO_LARGE,
        f"The request's head is longer than {HEAD_BYTES_MAX} bytes or {HEADERS_MAX} headers.",
    )
