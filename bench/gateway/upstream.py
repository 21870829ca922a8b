"""The fake upstream: both protocols on one port, in a process that is never the bottleneck.

`python -m bench.gateway.upstream` prints its address as JSON and serves until it is ended. All
answers are rendered beforehand. Paced streams have no timers of their own: a wheel turns once a
millisecond and writes what is due. `GET /behind` says how far the wheel was behind the clock at
most since it was last asked, in milliseconds: when that is much, the machine is too busy to judge.
"""

import asyncio
import contextlib
import gc
import json
import socket
import time
from typing import cast

import uvloop
from bench.gateway.replies import (
    STAMP_WRAP_US,
    IncompleteError,
    NotUnderstoodError,
    Protocol,
    closing,
    json_reply,
    opening,
    size_of,
    template,
    wanted,
    whole,
)

MODELS = [{"id": "chat", "object": "model", "owned_by": "bench"}]
BACKLOG = 4096


class Wheel:
    """Writes every stream's next word when it is due, on a grid that does not drift."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.due: dict[int, list[Connection]] = {}
        self.now_ms = 0
        self.streams = 0
        self.behind_ms = 0

    def add(self, connection: "Connection") -> None:
        """The next word is due a pace from now."""
        now_ms = time.monotonic_ns() // 1_000_000
        if self.streams == 0:
            self.now_ms = now_ms
            self.loop.call_later(0.001, self._turn)
        self.streams += 1
        self.due.setdefault(now_ms + connection.pace_ms, []).append(connection)

    def _turn(self) -> None:
        until_ms = time.monotonic_ns() // 1_000_000
        self.behind_ms = max(self.behind_ms, until_ms - self.now_ms)
        while self.now_ms < until_ms:
            self.now_ms += 1
            for connection in self.due.pop(self.now_ms, ()):
                if connection.write_word():
                    slot = self.now_ms + connection.pace_ms
                    self.due.setdefault(slot, []).append(connection)
                else:
                    self.streams -= 1
        if self.streams:
            self.loop.call_later(0.001, self._turn)


class Connection(asyncio.Protocol):
    """Requests are answered one after another."""

    def __init__(self, wheel: Wheel) -> None:
        self.wheel = wheel
        self.buffer = bytearray()
        self.transport: asyncio.Transport | None = None
        self.protocol: Protocol = "messages"
        self.template = b""
        self.words = 0
        self.words_left = 0
        self.pace_ms = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods of the type, but are no subclass of it.
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, _: Exception | None) -> None:
        self.transport = None

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.words_left:
            with contextlib.suppress(IncompleteError):
                while self.buffer and not self.words_left:
                    self._answer()

    def _answer(self) -> None:
        """Take one request from the buffer and answer it.

        Raises:
            IncompleteError: there is no whole one.
        """
        assert self.transport is not None
        try:
            end = size_of(self.buffer)
            if len(self.buffer) < end:
                raise IncompleteError
            if self.buffer.startswith(b"GET "):
                self.transport.write(self._told())
                del self.buffer[:end]
                return
            asked = wanted(self.buffer, end)
            del self.buffer[:end]
        except NotUnderstoodError as error:
            self.transport.write(json_reply({"error": {"message": str(error)}}, "400 Bad Request"))
            self.transport.close()
            raise IncompleteError from error
        if not (asked.stream and asked.pace_ms):
            self.transport.write(whole(asked))
            return
        self.protocol, self.template = asked.protocol, template(asked.protocol)
        self.words = self.words_left = asked.chunks
        self.pace_ms = asked.pace_ms
        self.transport.write(opening(self.protocol))
        if self.write_word():
            self.wheel.add(self)

    def _told(self) -> bytes:
        """What is asked about the server itself; routers look whether it is well."""
        if self.buffer.startswith(b"GET /behind "):
            behind_ms, self.wheel.behind_ms = self.wheel.behind_ms, 0
            return json_reply({"behind_ms": behind_ms})
        return json_reply({"object": "list", "data": MODELS, "status": "ok"})

    def write_word(self) -> bool:
        """The next word of a paced stream; False when it was the last, or nobody listens."""
        if self.transport is None:
            return False
        self.transport.write(self.template % (time.monotonic_ns() // 1000 % STAMP_WRAP_US))
        self.words_left -= 1
        if self.words_left:
            return True
        self.transport.write(closing(self.protocol, self.words))
        return False


async def _serve(listener: socket.socket) -> None:
    wheel = Wheel()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(wheel), sock=listener)
    gc.freeze()
    gc.disable()
    await server.serve_forever()


def main() -> None:
    """Serve until ended."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
    print(json.dumps({"root_url": "http://127.0.0.1:{1}".format(*listener.getsockname())}))
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(_serve(listener))


if __name__ == "__main__":
    import sys

    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    main()
