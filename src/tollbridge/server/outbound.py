"""The answer to one request on its way to the client: HTTP/1.1 framing and nothing else."""

import asyncio
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Protocol

from tollbridge.server.cors import ANSWER_HEADERS
from tollbridge.units import HEADER_CHARS_MAX, RequestId

JOIN_BYTES_MAX = 64 * 1024
"""A piece up to this is copied behind its framing, which is cheaper than a second buffer."""

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}" for status in HTTPStatus}
_ANSWER_LINES = "".join(f"\r\n{name}: {value}" for name, value in ANSWER_HEADERS)
_BODYLESS = (204, 304)


class Wire(Protocol):
    """The connection that an answer goes out on."""

    @property
    def choked(self) -> bool:
        """The client is slow: what is written is kept in memory."""

    @property
    def date_line(self) -> str:
        """The header `date`."""

    def send(self, data: bytes, more: bytes = b"") -> None:
        """Write; nothing happens once the client is gone."""

    async def drained(self) -> None:
        """Return when the client has taken enough, or is gone."""

    @property
    def gone(self) -> bool:
        """Whether the client is."""


class Answer:
    """Implements `app.ports.Client`. With `head_only` (a HEAD request) no body is sent.

    The head waits for the first piece of the body, so that both leave in one write; a body that
    comes whole gets a `content-length`, any other is chunked.
    """

    __slots__ = (
        "_chunked", "_head", "_head_only", "_on_gone", "_request_id", "_wire", "closing",
        "finished", "started",
    )  # fmt: skip

    def __init__(
        self, wire: Wire, *, head_only: bool = False, chunked: bool = True, closing: bool = False
    ) -> None:
        """Without `chunked` (HTTP/1.0) the end of the connection ends the body."""
        self.started = False
        self.finished = False
        self._wire = wire
        self._head_only = head_only
        self._chunked = chunked
        self.closing = closing or not chunked
        """The connection is not used again."""
        self._request_id = RequestId("")
        self._head = ""
        self._on_gone: Callable[[], None] | None = None

    def name(self, request_id: RequestId) -> None:
        """Give it its id, which goes with every answer."""
        self._request_id = request_id

    @property
    def choked(self) -> bool:
        """See `Client`."""
        return self._wire.choked

    def start(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        """See `Client`. The three names of the request id are those that the SDKs of Anthropic,
        OpenAI and CloudBase read."""
        assert not self.started, "a head is sent once"
        self.started = True
        request_id = self._request_id
        line = _STATUS_LINES.get(status) or f"HTTP/1.1 {status} Status"
        head = (
            f"{line}\r\nrequest-id: {request_id}\r\nx-request-id: {request_id}\r\n"
            f"x-cloudbase-request-id: {request_id}{_ANSWER_LINES}\r\n{self._wire.date_line}"
        )
        for name, value in headers:
            head += f"\r\n{name}: {header_value(value)}"
        if self.closing:
            head += "\r\nconnection: close"
        if status in _BODYLESS:
            self._head_only = True
        self._head = head

    def write(self, data: bytes) -> None:
        """See `Client`."""
        assert self.started
        assert not self.finished, "nothing follows the end"
        if not data:
            return
        if self._head:
            framing = "\r\ntransfer-encoding: chunked\r\n\r\n" if self._chunked else "\r\n\r\n"
            head = (self._head + framing).encode("ascii")
            self._head = ""
            if self._head_only:
                self._wire.send(head)
                return
        else:
            head = b""
        if self._head_only:
            return
        if not self._chunked:
            self._wire.send(head + data)
        elif len(data) <= JOIN_BYTES_MAX:
            self._wire.send(b"%b%x\r\n%b\r\n" % (head, len(data), data))
        else:
            self._wire.send(b"%b%x\r\n" % (head, len(data)), data)
            self._wire.send(b"\r\n")

    def finish(self, data: bytes = b"") -> None:
        """See `Client`."""
        assert self.started
        if self.finished:
            return
        if self._head:
            length = "" if self._head_only and not data else f"\r\ncontent-length: {len(data)}"
            head = f"{self._head}{length}\r\n\r\n".encode("ascii")
            self._head = ""
            if self._head_only:
                self._wire.send(head)
            elif len(data) <= JOIN_BYTES_MAX:
                self._wire.send(head + data)
            else:
                self._wire.send(head, data)
        else:
            self.write(data)
            if self._chunked and not self._head_only:
                self._wire.send(b"0\r\n\r\n")
        self.finished = True
        self._on_gone = None

    async def drained(self) -> None:
        """See `Client`."""
        await self._wire.drained()

    def watch(self, on_gone: Callable[[], None]) -> None:
        """See `Client`."""
        self._on_gone = on_gone
        if self._wire.gone:
            asyncio.get_running_loop().call_soon(self.lose)

    def unwatch(self) -> None:
        """See `Client`."""
        self._on_gone = None

    def lose(self) -> None:
        """Told by the connection that the client went away."""
        if self._on_gone is not None:
            on_gone, self._on_gone = self._on_gone, None
            on_gone()

    def close_after(self) -> None:
        """Use the connection for nothing else; the head says so if it has not gone out."""
        if not self.closing:
            self.closing = True
            if self._head:
                self._head += "\r\nconnection: close"


def header_value(text: str) -> str:
    """A header's value that no client refuses: printable ASCII, the rest escaped."""
    if len(text) > HEADER_CHARS_MAX:
        text = text[: HEADER_CHARS_MAX - 3] + "..."
    return text if text.isascii() and text.isprintable() else ascii(text)[1:-1]
