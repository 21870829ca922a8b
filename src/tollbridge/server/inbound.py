"""The client's request as ASGI brings it."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from tollbridge.errors import ErrorCode, GatewayError

Scope = MutableMapping[str, Any]  # ASGI's own loose types: the values differ by key
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

DRAIN_BYTES_MAX = 64 * 1024 * 1024
"""How much of a refused body is still read and thrown away, so that a client which sends before it
reads gets to see the refusal."""


class ClientGoneError(Exception):
    """The client went away while its request was being read; there is nobody to answer."""


def header_map(scope: Scope) -> Mapping[str, str]:
    """Headers with lower-case names. Lines of the same name are joined with a comma (RFC 9110)."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


async def read_body(receive: Receive, headers: Mapping[str, str], bytes_max: int) -> bytes:
    """The whole body.

    Raises:
        GatewayError: BODY_TOO_LARGE, while it is being read.
        ClientGoneError: the client left before its end.
    """
    declared = headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > bytes_max:
        await _drain(receive)
        raise _too_large(bytes_max)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > bytes_max:
            parts.clear()
            if message.get("more_body"):
                await _drain(receive)
            raise _too_large(bytes_max)
        if not message.get("more_body"):
            return part if not parts else b"".join([*parts, part])
        parts.append(part)


async def _drain(receive: Receive) -> None:
    left = DRAIN_BYTES_MAX
    while left > 0:
        message = await receive()
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return
        left -= len(message.get("body", b""))


def _too_large(bytes_max: int) -> GatewayError:
    return GatewayError(
        ErrorCode.BODY_TOO_LARGE,
        f"The request body is larger than {bytes_max} bytes; send less, or fewer images.",
    )
