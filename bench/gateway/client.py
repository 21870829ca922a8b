"""Raw HTTP/1.1 connections that check every answer they get.

A benchmark that does not look at the answers measures how fast errors are made. So every answer
must be a 200, hold every word the upstream wrote and, streamed, end with the terminal event.
"""

import asyncio
import re
import time
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

WORD = b"word"
"""The fake upstreams write `word0 word1 ...`, one in each chunk."""
STATUS_OK = b"HTTP/1.1 200"


class WrongAnswerError(Exception):
    """An answer is not what the upstream sent; the run is void."""


@dataclass(frozen=True)
class Request:
    """What to send, and what a right answer holds."""

    url: str
    key: str
    body: bytes
    words: int
    terminal: bytes
    """The bytes of the last event; empty for a one-shot answer."""

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    @property
    def wire(self) -> bytes:
        parts = urlsplit(self.url)
        head = (
            f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\n"
            f"authorization: Bearer {self.key}\r\nanthropic-version: 2023-06-01\r\n"
            f"content-type: application/json\r\ncontent-length: {len(self.body)}\r\n\r\n"
        )
        return head.encode() + self.body


@dataclass
class Tally:
    """What all connections of one load have seen so far."""

    answers: int = 0
    words: int = 0
    latencies_s: list[float] = field(default_factory=list)
    first_word_s: list[float] = field(default_factory=list)


class Connection(asyncio.Protocol):
    """One keep-alive connection; `ask` sends the request and returns when the answer is checked."""

    def __init__(self, request: Request, tally: Tally) -> None:
        self.request = request
        self.wire = request.wire
        self.tally = tally
        self.buffer = bytearray()
        self.done: asyncio.Future[None] | None = None
        self.sent_s = 0.0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods of the type, but are no subclass of it.
        self.transport = cast("asyncio.Transport", transport)

    async def ask(self) -> None:
        """One exchange.

        Raises:
            WrongAnswerError: for anything but the whole, right answer.
        """
        assert self.transport is not None
        self.buffer.clear()
        self.done = asyncio.get_running_loop().create_future()
        self.sent_s = time.perf_counter()
        self.transport.write(self.wire)
        await self.done

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        seen = data.count(WORD)
        if seen and WORD not in self.buffer:
            self.tally.first_word_s.append(now - self.sent_s)
        self.tally.words += seen
        self.buffer += data
        if self._complete():
            self._finish(now)

    def connection_lost(self, error: Exception | None) -> None:
        if self.done is not None and not self.done.done():
            tail = bytes(self.buffer[-300:])
            self.done.set_exception(WrongAnswerError(f"connection lost: {error} {tail!r}"))

    def _complete(self) -> bool:
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        length = re.search(rb"content-length: *(\d+)", self.buffer[:end], re.IGNORECASE)
        if length is not None:
            return len(self.buffer) >= end + 4 + int(length[1])
        return self.buffer.endswith(b"0\r\n\r\n")

    def _finish(self, now: float) -> None:
        assert self.done is not None
        problem = self._problem()
        if problem:
            self.done.set_exception(WrongAnswerError(problem))
            return
        self.tally.answers += 1
        self.tally.latencies_s.append(now - self.sent_s)
        self.done.set_result(None)

    def _problem(self) -> str:
        if not self.buffer.startswith(STATUS_OK):
            return f"not a 200: {bytes(self.buffer[:600])!r}"
        if self.request.terminal not in self.buffer:
            return f"no terminal event: {bytes(self.buffer[-300:])!r}"
        words = self.buffer.count(WORD)
        if words != self.request.words:
            return f"{words} words instead of {self.request.words}: {bytes(self.buffer[:300])!r}"
        return ""


async def connect(request: Request, tally: Tally) -> Connection:
    """Open one connection."""
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(
        lambda: Connection(request, tally), *request.address
    )
    return connection
