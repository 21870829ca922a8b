"""The client's side of one answer: its head, its body, its heartbeats."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from tollbridge.app.ports import (
    Client,
    UpstreamBusyError,
    UpstreamError,
    UpstreamReply,
    UpstreamTimeoutError,
)
from tollbridge.app.pulse import Pulse
from tollbridge.config import Protocol
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.translate.bridge import GatheredAnswer, Reply, StreamBridge
from tollbridge.translate.failures import stream_error
from tollbridge.translate.relay import PING
from tollbridge.translate.usage_tap import UsageTap
from tollbridge.units import ERROR_BODY_BYTES_MAX, RESPONSE_BYTES_MAX, RequestId
from tollbridge.wire.sse import COMMENT_HEARTBEAT

T = TypeVar("T")

HEARTBEATS: dict[Protocol, bytes] = {"messages": PING, "chat": COMMENT_HEARTBEAT}

LINGER_S = 1.0
"""How long to wait for the end of an upstream body whose terminal event has been seen; a body that
ends in time leaves its connection for the next request."""


class Relay:
    """Writes to the client, in whole events, one write per upstream read.

    `head_sent`: a status has gone out, so that errors must travel inside the stream.
    `delivered`: the client has received something of an answer, so that no other upstream may be
    tried. Heartbeats send a head but deliver nothing. `complete`: the client has received all of
    it. `told`: the client has received the error that ends it. `beat`: the tick of the last write.
    """

    def __init__(
        self,
        client: Client,
        pulse: Pulse,
        protocol: Protocol,
        request_id: RequestId,
        head: Callable[[], Sequence[tuple[str, str]]],
    ) -> None:
        self.head_sent = False
        self.delivered = False
        self.complete = False
        self.told = False
        self.beat = pulse.tick
        self._client = client
        self._pulse = pulse
        self._protocol = protocol
        self._request_id = request_id
        self._head = head
        self._lock = asyncio.Lock()

    async def stream(
        self, reply: UpstreamReply, stream: StreamBridge, tap: UsageTap | None = None
    ) -> None:
        """From the upstream's first event to its last.

        Raises:
            GatewayError: the stream ended in an error; `told` says whether the client knows.
        """
        while not stream.finished:
            try:
                data = await reply.read()
            except UpstreamError as error:
                raise _broken(error) from None
            if tap is not None:
                tap.feed(data)
            out = stream.feed(data) if data else stream.close()
            if stream.failure is not None and not self.delivered:
                raise stream.failure
            if out:
                self.delivered = True
                await self.write(out)
            if stream.failure is not None:
                self.told = True
                raise stream.failure
            if not data:
                break
        out = stream.close()
        if out:
            await self.write(out)
        self.complete = True

    async def write(self, data: bytes) -> None:
        """Send bytes, after the head if it has not gone out yet."""
        async with self._lock:
            if not self.head_sent:
                self.head_sent = True
                await self._client.start(200, self._head())
            await self._client.write(data)
            self.beat = self._pulse.tick

    def keep_alive(self) -> None:
        """Break the silence, unless a write is waiting for a slow client or the end was sent."""
        if not self._lock.locked() and not self.complete:
            self._beating = asyncio.ensure_future(self._heartbeat())

    async def _heartbeat(self) -> None:
        # A client that cannot be written to is found gone by the exchange itself.
        with contextlib.suppress(OSError):
            await self.write(HEARTBEATS[self._protocol])

    async def fail(self, error: GatewayError) -> None:
        """Tell an error inside the stream, unless it has been told."""
        if not self.told:
            self.told = True
            await self.write(stream_error(self._protocol, error, self._request_id))


async def from_upstream(call: Awaitable[T]) -> T:
    """Wait for the upstream; its failures become what a client may be told."""
    try:
        return await call
    except UpstreamError as error:
        raise _broken(error) from None


async def read_whole(reply: UpstreamReply, bytes_max: int) -> bytes:
    """The whole body.

    Raises:
        GatewayError: it is larger than `bytes_max`.
        UpstreamError: it was cut short.
    """
    parts: list[bytes] = []
    size = 0
    while data := await reply.read():
        size += len(data)
        if size > bytes_max:
            raise _too_large(bytes_max)
        parts.append(data)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def gather(reply: UpstreamReply, answer: GatheredAnswer, tap: UsageTap) -> Reply:
    """One answer out of an upstream's stream.

    Raises:
        GatewayError: the stream broke off, told an error, or is larger than `RESPONSE_BYTES_MAX`.
    """
    size = 0
    while not answer.finished:
        data = await from_upstream(reply.read())
        tap.feed(data)
        size += len(data)
        if size > RESPONSE_BYTES_MAX:
            raise _too_large(RESPONSE_BYTES_MAX)
        if data:
            answer.feed(data)
        else:
            answer.close()
        if answer.failure is not None:
            raise answer.failure
    return answer.reply()


async def read_error(reply: UpstreamReply) -> bytes:
    """As much of an error's body as comes and fits: the status counts even without it."""
    body = b""
    with contextlib.suppress(UpstreamError):
        while len(body) < ERROR_BODY_BYTES_MAX and (data := await reply.read()):
            body += data
    return body


async def linger(reply: UpstreamReply) -> None:
    """Give a finished body the chance to end, then cancel it."""
    try:
        async with asyncio.timeout(LINGER_S):
            while await reply.read():
                continue
    except (TimeoutError, UpstreamError):
        reply.abort()


def _too_large(bytes_max: int) -> GatewayError:
    return GatewayError(
        ErrorCode.UPSTREAM_FAILED, f"The model's answer is larger than {bytes_max} bytes."
    )


def _broken(error: UpstreamError) -> GatewayError:
    if isinstance(error, UpstreamBusyError):
        return GatewayError(
            ErrorCode.UPSTREAM_BUSY, f"The model's server is busy: {error}.", retry_after_s=1
        )
    if not error.sent:
        return GatewayError(
            ErrorCode.UPSTREAM_UNREACHABLE, f"The model's server was not reached: {error}."
        )
    if isinstance(error, UpstreamTimeoutError):
        return GatewayError(ErrorCode.UPSTREAM_TIMEOUT, f"The model's server {error}.")
    return GatewayError(ErrorCode.UPSTREAM_FAILED, f"The model's server failed: {error}.")
