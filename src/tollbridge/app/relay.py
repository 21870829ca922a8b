"""The client's side of one answer: its head, its body, its heartbeats."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from tollbridge.app.answer_head import STREAM_HEAD
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
from tollbridge.translate.failures import failure_from_upstream, stream_error
from tollbridge.translate.usage_tap import UsageTap
from tollbridge.units import (
    ERROR_BODY_BYTES_MAX,
    ERROR_BODY_S,
    LINGER_S,
    RESPONSE_BYTES_MAX,
    Millis,
    RequestId,
)
from tollbridge.wire.sse import COMMENT_HEARTBEAT, encode_event

T = TypeVar("T")

HEARTBEATS: dict[Protocol, bytes] = {
    "messages": encode_event("ping", b'{"type": "ping"}'),
    "chat": COMMENT_HEARTBEAT,
}
"""What breaks a silence (protocol notes C.9.6), also before the first token: it begins no message,
so that another upstream may still be tried."""

NO_STREAM = ("application/json", "text/html")
"""Types of bodies that are an error, or an error page, where a stream was asked for."""


class Relay:
    """Writes to the client, in whole events, one write per upstream read.

    `head_sent`: a status has gone out, so that errors must travel inside the stream.
    `delivered`: the client has received something of an answer, so that no other upstream may be
    tried; `delivered_at`: when. Heartbeats send a head but deliver nothing. `complete`: the client
    has received all of it. `told`: the client has received the error that ends it. `beat`: the tick
    of the last write. An answer that comes whole at once waits for `finish`, to leave in one write.
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
        self.delivered_at: Millis | None = None
        self.complete = False
        self.told = False
        self.beat = pulse.tick
        self._client = client
        self._pulse = pulse
        self._protocol = protocol
        self._request_id = request_id
        self._head = head
        self._whole = b""
        """An answer that waits for its end."""

    async def stream(
        self, reply: UpstreamReply, stream: StreamBridge, tap: UsageTap | None = None
    ) -> None:
        """From the upstream's first event to its last.

        Raises:
            GatewayError: the stream ended in an error; `told` says whether the client knows.
            UpstreamError: it was cut short.
        """
        client = self._client

        def take(data: bytes) -> bool:
            out = stream.feed(data)
            if tap is not None and stream.notable:
                tap.feed(stream.notable)
            if self.delivered and stream.failure is None:
                if out:
                    client.write(out)
                    self.beat = self._pulse.tick
            else:
                self._deliver(stream, out, whole=stream.finished and reply.at_end)
            return not (stream.finished or client.choked)

        while not stream.finished:
            if await reply.pour(take):
                break
            if client.choked:
                await client.drained()
        self._deliver(stream, stream.close())
        self.complete = True

    def _deliver(self, stream: StreamBridge, out: bytes, *, whole: bool = False) -> None:
        failure = stream.failure
        if failure is not None and not self.delivered:
            raise failure
        if out:
            if not self.delivered:
                self.delivered, self.delivered_at = True, self._pulse.clock()
                if whole and failure is None and not self.head_sent:
                    self._start()  # nothing leaves before the body does
                    self._whole = out
                    return
            self.write(out)
        if failure is not None:
            self.told = True
            raise failure

    def write(self, data: bytes) -> None:
        """Send bytes, after the head if it has not gone out yet."""
        self._start()
        self._client.write(self._whole + data)
        self._whole = b""
        self.beat = self._pulse.tick

    def resume(self) -> None:
        """What was thought to be all of the answer goes on."""
        self.complete = False
        if self._whole:
            self.write(b"")

    def finish(self) -> None:
        """End the body of a stream."""
        self._client.finish(self._whole)

    def _start(self) -> None:
        if not self.head_sent:
            self.head_sent = True
            self._client.start(200, (*self._head(), *STREAM_HEAD))

    def let_go(self) -> None:
        """The answer is over. What gives its head refers back to here."""
        self._head = tuple

    def keep_alive(self) -> None:
        """Break the silence, unless the client is slow to take what it has or the end was sent."""
        if not (self._client.choked or self.complete or self.told):
            self.write(HEARTBEATS[self._protocol])

    def fail(self, error: GatewayError) -> None:
        """Tell an error inside the stream, unless it has been told."""
        if not self.told:
            self.told = True
            self.write(stream_error(self._protocol, error, self._request_id))


async def from_upstream(call: Awaitable[T]) -> T:
    """Wait for the upstream; its failures become what a client may be told."""
    try:
        return await call
    except UpstreamError as error:
        raise broken(error) from None


def answers(reply: UpstreamReply, *, stream: bool) -> bool:
    """Whether an answer begins, of the kind that was asked for."""
    if reply.status != 200:
        return False
    return not (stream and reply.headers.get("content-type", "").startswith(NO_STREAM))


async def refusal_of(protocol: Protocol, reply: UpstreamReply) -> GatewayError:
    """What an upstream of this protocol has answered instead."""
    body = await read_error(reply)
    return failure_from_upstream(protocol, reply.status, reply.headers, body)


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
        GatewayError: the stream told an error, or is larger than `RESPONSE_BYTES_MAX`.
        UpstreamError: it was cut short.
    """
    size = 0
    while not answer.finished:
        data = await reply.read()
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
    with contextlib.suppress(UpstreamError, TimeoutError):
        async with asyncio.timeout(ERROR_BODY_S):
            while len(body) < ERROR_BODY_BYTES_MAX and (data := await reply.read()):
                body += data
    return body


async def linger(reply: UpstreamReply) -> None:
    """Give a finished body the chance to end, then cancel it."""
    if reply.at_end:
        return  # as nearly always: a deadline costs more than asking
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


def broken(error: UpstreamError) -> GatewayError:
    """What a client may be told of an upstream's failure."""
    error.__traceback__ = None  # a cycle by way of the reply, in which long bodies would stay
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
