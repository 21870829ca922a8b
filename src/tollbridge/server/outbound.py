"""The client's side of an exchange, over ASGI."""

import asyncio
from collections.abc import Callable, Sequence

from tollbridge.server.cors import ANSWER_HEADERS
from tollbridge.server.inbound import Receive, Send
from tollbridge.units import RequestId

REQUEST_ID_HEADERS = (b"request-id", b"x-request-id", b"x-cloudbase-request-id")
"""The Anthropic SDKs read the first, the OpenAI SDKs the second, the CloudBase SDKs the third."""

HEADER_CHARS_MAX = 2048
"""Some headers name members of the client's request; clients refuse heads of a few kilobytes."""


def header_value(text: str) -> bytes:
    """A header's value that no server or client refuses: printable ASCII, the rest escaped."""
    if len(text) > HEADER_CHARS_MAX:
        text = text[: HEADER_CHARS_MAX - 3] + "..."
    if not (text.isascii() and text.isprintable()):
        text = ascii(text)[1:-1]
    return text.encode("ascii")


WATCH_AFTER_S = 0.02
"""An answer that is there by then is not worth a task that waits for the client to leave."""


class AsgiClient:
    """Implements `app.ports.Client`. With `head_only` (a HEAD request) no body is sent."""

    def __init__(
        self, receive: Receive, send: Send, request_id: RequestId, *, head_only: bool = False
    ) -> None:
        self.started = False
        self._receive = receive
        self._send = send
        self._request_id = request_id.encode()
        self._head_only = head_only
        self._watcher: asyncio.Task[None] | asyncio.TimerHandle | None = None

    async def start(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        """Send the head; the request id goes with every answer."""
        self.started = True
        lines = [(name, self._request_id) for name in REQUEST_ID_HEADERS]
        lines += ANSWER_HEADERS
        lines += [(name.encode(), header_value(value)) for name, value in headers]
        await self._send({"type": "http.response.start", "status": status, "headers": lines})

    async def write(self, data: bytes) -> None:
        """Send a part of the body."""
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def finish(self, data: bytes = b"") -> None:
        """Send the last part."""
        if self._head_only:
            data = b""
        await self._send({"type": "http.response.body", "body": data, "more_body": False})

    def watch(self, on_gone: Callable[[], None]) -> None:
        """Call back once if the client disconnects."""
        loop = asyncio.get_running_loop()

        async def watch() -> None:
            while (await self._receive())["type"] != "http.disconnect":
                continue
            on_gone()

        def begin() -> None:
            self._watcher = loop.create_task(watch())

        self._watcher = loop.call_later(WATCH_AFTER_S, begin)

    def unwatch(self) -> None:
        """Stop watching."""
        if self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None
