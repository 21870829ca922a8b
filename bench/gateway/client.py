"""Raw HTTP/1.1 connections that check every answer they get.

A benchmark that does not look at the answers measures how fast errors are made. So every answer
must be a 200, hold every word the upstream wrote and, streamed, end with the terminal event.
"""

import asyncio
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast
from urllib.parse import urlsplit

from bench.gateway.replies import (
    END,
    PATHS,
    STAMP,
    STAMP_WRAP_US,
    TERMINALS,
    WORD,
    Protocol,
    unframed,
)

HEAD_END = b"\r\n\r\n"
STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
LINE = '    total += weights[{0}] * values[{0}]  # the "{0}"th \\ of all\n'


class WrongAnswerError(Exception):
    """An answer is not what the upstream sent."""


class RefusedError(WrongAnswerError):
    """An answer is a clean refusal: a status of 400 or more with a body."""


@dataclass(frozen=True)
class Request:
    """What to send, and what a right answer holds."""

    url: str
    key: str
    body: bytes
    words: int
    terminal: bytes
    """The bytes of the last event; empty for a one-shot answer."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Beside those of every request."""

    @cached_property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    @cached_property
    def wire(self) -> bytes:
        parts = urlsplit(self.url)
        head = (
            f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\n"
            f"authorization: Bearer {self.key}\r\nanthropic-version: 2023-06-01\r\n"
            f"content-type: application/json\r\ncontent-length: {len(self.body)}\r\n"
        )
        more = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        return f"{head}{more}\r\n".encode() + self.body


def request_for(
    root_url: str,
    key: str,
    model: str,
    protocol: Protocol,
    *,
    chunks: int,
    stream: bool,
    pace_ms: int = 0,
    body_bytes: int = 0,
    headers: Mapping[str, str] | None = None,
) -> Request:
    """A request whose prompt tells the fake upstream what to do.

    `body_bytes` makes the conversation so long: an agent's, with source text in every turn.
    """
    said = f"@chunks={chunks} @pace_ms={pace_ms} Count for me."
    messages = [{"role": "user", "content": said}]
    turn = "".join(LINE.format(index) for index in range(24))
    while body_bytes and len(messages) * len(turn) < body_bytes:
        messages.append({"role": ("user", "assistant")[len(messages) % 2], "content": turn})
    if len(messages) % 2 == 0:
        messages.append({"role": "user", "content": "Go on."})
    body: dict[str, object] = {
        "model": model,
        "max_tokens": 4096,
        "messages": messages,
        "stream": stream,
    }
    if stream and protocol == "chat":
        body["stream_options"] = {"include_usage": True}
    terminal = TERMINALS[protocol] if stream else b""
    url = root_url + PATHS[protocol]
    return Request(url, key, json.dumps(body).encode(), chunks, terminal, headers or {})


def problem_with(answer: bytes | bytearray, request: Request) -> str:
    """What is wrong with a whole answer; empty when it is right."""
    head, _, body = bytes(answer).partition(HEAD_END)
    if not head.startswith(b"HTTP/1.1 200"):
        return f"not a 200: {bytes(answer[:600])!r}"
    if CONTENT_LENGTH.search(head + b"\r\n") is None:
        try:
            body = unframed(body)
        except ValueError:
            return f"the chunks of the body are broken: {body[-300:]!r}"
    if request.terminal and request.terminal not in body[-200:]:
        return f"no terminal event: {body[-300:]!r}"
    if (words := body.count(WORD)) != request.words:
        return f"{words} words instead of {request.words}: {body[:300]!r}"
    return ""


def is_refusal(answer: bytes | bytearray) -> bool:
    """Whether it says by its status that the request is not served."""
    status = STATUS.match(answer)
    return status is not None and int(status[1]) >= 400


@dataclass
class Tally:
    """What all connections of one load have seen so far."""

    answers: int = 0
    words: int = 0
    problems: list[str] = field(default_factory=list)
    """What was wrong with the few answers that a load may lose."""
    latencies_s: list[float] = field(default_factory=list)
    first_word_s: list[float] = field(default_factory=list)
    sampling: bool = False
    delays_us: list[int] = field(default_factory=list)
    """From the upstream's writing of a paced word to its arrival, while `sampling`."""

    def clear(self) -> None:
        """Forget what the warming up has brought."""
        self.answers = self.words = 0
        self.latencies_s, self.first_word_s, self.delays_us = [], [], []


class Connection(asyncio.Protocol):
    """One keep-alive connection; `ask` sends the request and returns when the answer is checked."""

    def __init__(self, request: Request, tally: Tally) -> None:
        self.request = request
        self.tally = tally
        self.buffer = bytearray()
        self.size: int | None = None
        """Bytes of the answer, where its head says that."""
        self.worded = False
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
        if self.transport.is_closing():
            raise WrongAnswerError("the connection was closed between two answers")
        self.buffer.clear()
        self.size, self.worded = None, False
        self.done = asyncio.get_running_loop().create_future()
        self.sent_s = time.monotonic()
        self.transport.write(self.request.wire)
        await self.done

    def data_received(self, data: bytes) -> None:
        now_ns = time.monotonic_ns()
        tally = self.tally
        if words := data.count(WORD):
            tally.words += words
            if not self.worded:
                self.worded = True
                tally.first_word_s.append(now_ns / 1e9 - self.sent_s)
        if tally.sampling:
            now_us = now_ns // 1000
            tally.delays_us += [
                (now_us - int(stamp)) % STAMP_WRAP_US for stamp in STAMP.findall(data)
            ]
        self.buffer += data
        if self._complete():
            self._finish(now_ns / 1e9)

    def connection_lost(self, error: Exception | None) -> None:
        if self.done is not None and not self.done.done():
            tail = bytes(self.buffer[-300:])
            self.done.set_exception(WrongAnswerError(f"connection lost: {error} {tail!r}"))

    def _complete(self) -> bool:
        if self.size is None:
            end = self.buffer.find(HEAD_END)
            if end < 0:
                return False
            length = CONTENT_LENGTH.search(self.buffer, 0, end + 2)
            self.size = end + 4 + int(length[1]) if length is not None else 0
        if self.size:
            return len(self.buffer) >= self.size
        return self.buffer.endswith(END)

    def _finish(self, now_s: float) -> None:
        if self.done is None or self.done.done():
            return
        if problem := problem_with(self.buffer, self.request):
            kind = RefusedError if is_refusal(self.buffer) else WrongAnswerError
            self.done.set_exception(kind(problem))
            return
        self.tally.answers += 1
        self.tally.latencies_s.append(now_s - self.sent_s)
        self.done.set_result(None)

    def close(self) -> None:
        """Whatever is under way."""
        if self.transport is not None:
            self.transport.abort()


async def connect(request: Request, tally: Tally) -> Connection:
    """Open one connection."""
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(
        lambda: Connection(request, tally), *request.address
    )
    return connection
