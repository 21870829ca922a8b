"""The client's request as ASGI brings it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from tollbridge.errors import ErrorCode, GatewayError

Scope = MutableMapping[str, Any]  # ASGI's own loose types: the values differ by key
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

DISCARD_BYTES_MAX = 64 * 1024 * 1024
"""How much of a refused body is still read and thrown away, so that a client which sends before it
reads gets to see the refusal: closing on it would break its connection instead."""
DISCARD_S = 10.0
"""And for how long."""


class ClientGoneError(Exception):
    """The client went away while its request was being read; there is nobody to answer."""


def header_map(scope: Scope) -> Mapping[str, str]:
    """Headers with lower-case names. Lines of the same name are joined with a comma (RFC 9110)."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


class RequestBody:
    """The body of one request, which arrives in parts."""

    def __init__(self, receive: Receive, bytes_max: int) -> None:
        self._receive = receive
        self._bytes_max = bytes_max
        self._ended = False

    async def read(self) -> bytes:
        """The whole body; may be called once.

        Raises:
            GatewayError: BODY_TOO_LARGE, while it is being read.
            ClientGoneError: the client left before its end.
        """
        parts: list[bytes] = []
        size = 0
        while not self._ended:
            part = await self._part()
            size += len(part)
            if size > self._bytes_max:
                raise GatewayError(
                    ErrorCode.BODY_TOO_LARGE,
                    f"The request body is larger than {self._bytes_max} bytes; send less,"
                    " or fewer images.",
                )
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def discard(self) -> None:
        """Throw away what has not been read.

        Raises:
            ClientGoneError: the client left before its end.
        """
        left = DISCARD_BYTES_MAX
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DISCARD_S):
                while not self._ended and left > 0:
                    left -= len(await self._part())

    async def _part(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._ended = True
            raise ClientGoneError
        self._ended = not message.get("more_body", False)
        part: bytes = message.get("body", b"")
        return part
