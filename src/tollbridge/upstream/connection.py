"""One connection to an upstream and the exchange it carries."""

import asyncio
import select
from collections.abc import Callable, Mapping
from math import inf
from typing import cast

from tollbridge.app.ports import UpstreamError, UpstreamTimeoutError
from tollbridge.units import BUFFER_BYTES_HIGH, KIB
from tollbridge.upstream.response import BEFORE_ANSWER, IN_ANSWER, Response

JOIN_BYTES_MAX = 16 * KIB
"""Bodies up to this are copied behind the head, which is cheaper than a second buffer."""

_WATCHED = select.POLLIN | select.POLLRDHUP


class Connection(asyncio.Protocol):
    """A socket, its parser's feeder and its one timer.

    `on_free` is called when an exchange has ended and the connection can carry another, and once
    more, exactly once, when it is `closed`, whoever closed it.
    """

    __slots__ = (
        "_lost",
        "_on_free",
        "_paused",
        "_poll",
        "_reply",
        "_timer",
        "_timer_at",
        "_transport",
        "_used",
        "closed",
        "loop",
        "reuse_until",
        "wire",
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, on_free: Callable[["Connection"], None]
    ) -> None:
        self.closed = False
        self.loop = loop
        self.reuse_until = inf
        """On the loop's clock; later it is not given to another request."""
        self.wire: asyncio.Transport | None = None
        """The transport below TLS, where bytes wait that TLS no longer knows of."""
        self._on_free = on_free
        self._transport: asyncio.Transport | None = None
        self._poll = select.poll()
        self._lost: asyncio.Future[None] = loop.create_future()
        self._used = False
        self._paused = False
        self._reply: Reply | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf

    # The client's side.

    def is_stale(self) -> bool:
        """Whether an idle connection has ended, or the server has said something unasked.

        The loop may not have come round to telling us, so the kernel is asked.
        """
        transport = self._transport
        return transport is None or transport.is_closing() or bool(self._poll.poll(0))

    def start(self, head: bytes, body: bytes, response: Response) -> "Reply | None":
        """Send a request. None: nothing was sent, for the server had closed an idle connection.

        When is it safe to send a request again? The kernel refuses the very first write only if
        the connection had ended before it, so that no byte has left: this and an end seen before
        writing (`is_stale`) are the two cases in which the caller takes another connection.
        Whatever happens later, nobody can know how far the server got with it, and a generation
        done twice is paid twice: that is an `UpstreamError` with `sent`, for routing to judge.

        There is no flow control for the body: it is in memory whole as one `bytes`, and the
        transport keeps a reference to it, not a copy.

        Raises:
            UpstreamError: a connection that was never used broke.
        """
        transport = self._transport
        assert transport is not None
        assert self._reply is None
        if transport.is_closing():
            pass  # uvloop's transports raise when written to after their end
        elif len(body) <= JOIN_BYTES_MAX:
            transport.write(head + body)
        else:
            transport.writelines((head, body))
        if transport.is_closing():
            self.close()
            if self._used:
                return None
            raise UpstreamError("the connection broke before the request was sent", sent=False)
        self._used = True
        self._reply = Reply(self, response)
        return self._reply

    def fail(self, error: UpstreamError) -> None:
        """End the exchange with this error and close."""
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.end(error)
        self.close()

    def close(self) -> None:
        """Close at once. Safe to call at any time, also while it is being opened."""
        if self.closed:
            return
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is None:
            self._lost.set_result(None)
        else:
            # Not `close`: it waits for the peer's TLS farewell and for unsent bytes.
            self._transport.abort()
        self._on_free(self)

    async def wait_closed(self) -> None:
        """Return when the socket is closed."""
        await asyncio.shield(self._lost)

    # The reply's side.

    def watch(self, deadline: float) -> None:
        """See to it that the timer looks at the reply's deadline when it has passed.

        A timer that is set for an earlier moment stays: it fires, finds a later deadline and is
        set anew. So a stream of a thousand chunks costs a handful of timers.
        """
        if deadline < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = deadline
            self._timer = self.loop.call_at(deadline, self._on_timer)

    def resume(self) -> None:
        """The reader has made room."""
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    def _on_timer(self) -> None:
        self._timer = None
        self._timer_at = inf
        reply = self._reply
        if reply is None or reply.deadline == inf:
            return
        if self.loop.time() < reply.deadline:
            self.watch(reply.deadline)
        else:
            self.fail(reply.timed_out())

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        # uvloop's transports have the methods of `asyncio.Transport` without being instances of it.
        self._transport = cast("asyncio.Transport", transport)
        if self.closed:
            self._transport.abort()
        else:
            self._poll.register(transport.get_extra_info("socket").fileno(), _WATCHED)

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        reply = self._reply
        if reply is None:
            self.close()  # nobody asked
            return
        response = reply.response
        try:
            news = response.feed(data)
        except UpstreamError as error:
            self.fail(error)
            return
        if response.ended:
            self._finish(reply)
        elif news:
            reply.news()
            if response.buffered > BUFFER_BYTES_HIGH and not self._paused:
                self._paused = True
                assert self._transport is not None
                self._transport.pause_reading()

    def eof_received(self) -> None:
        """Called by the loop. A server that stops sending is done with us, too."""
        reply = self._reply
        if reply is not None:
            try:
                reply.response.feed_eof()
            except UpstreamError as error:
                self.fail(error)
            else:
                self._finish(reply)
        self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop, once the socket is closed."""
        if not self._lost.done():
            self._lost.set_result(None)
        reply = self._reply
        if reply is None or exc is None:
            self.eof_received()
        else:
            when = IN_ANSWER if reply.response.head_done else BEFORE_ANSWER
            self.fail(UpstreamError(f"the connection broke {when}", sent=True))

    def _finish(self, reply: "Reply") -> None:
        """The message is complete. A server that answered before it had read the whole request
        may still be reading it, or not: such a connection is closed."""
        self._reply = None
        self.resume()
        transport, wire = self._transport, self.wire
        assert transport is not None
        unsent = transport.get_write_buffer_size() or (wire and wire.get_write_buffer_size())
        if reply.response.reusable and not unsent:
            self._on_free(self)
        else:
            self.close()
        reply.end(None)


class Reply:
    """An `UpstreamReply`. Once the message is complete it has no connection any more, only what
    is buffered. Whoever holds one reads to the end or calls `abort`."""

    __slots__ = (
        "_connection",
        "_error",
        "_last_call",
        "_take",
        "_timeout_s",
        "_waiter",
        "deadline",
        "idle_timeout_s",
        "response",
    )

    def __init__(self, connection: Connection, response: Response) -> None:
        self.response = response
        self.deadline = inf
        """Of the wait under way, on the loop's clock. A slow reader is not a slow upstream: while
        nobody waits, nothing can time out."""
        self.idle_timeout_s = inf
        self._timeout_s = inf
        self._connection: Connection | None = connection
        self._waiter: asyncio.Future[None] | None = None
        self._take: Callable[[bytes], bool] | None = None
        """Who is poured into."""
        self._error: UpstreamError | None = None
        self._last_call: asyncio.TimerHandle | None = None

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.response.status

    @property
    def headers(self) -> Mapping[str, str]:
        """With lower-case names; of repeated ones the last."""
        return self.response.headers

    @property
    def at_end(self) -> bool:
        """See `UpstreamReply.at_end`."""
        return self.response.ended and not self.response.chunks

    def end_by(self, moment: float, message: str) -> None:
        """Fail at this moment of the loop's clock, whether or not anybody waits."""
        connection = self._connection
        if connection is not None:
            error = UpstreamTimeoutError(message, sent=True)
            self._last_call = connection.loop.call_at(moment, connection.fail, error)

    async def head(self, timeout_s: float) -> None:
        """Wait for the head. Called once, before anything else."""
        while not self.response.head_done:
            await self._arrival(timeout_s)

    async def read(self) -> bytes:
        """See `UpstreamReply.read`."""
        response = self.response
        while not response.chunks:
            if response.ended:
                return b""
            await self._arrival(self.idle_timeout_s)
        data = response.take()
        if self._connection is not None:
            self._connection.resume()
        return data

    async def pour(self, take: Callable[[bytes], bool]) -> bool:
        """See `UpstreamReply.pour`."""
        response = self.response
        while True:
            if response.chunks:
                if not take(await self.read()):
                    return False
            elif response.ended:
                return True
            else:
                self._take = take
                try:
                    await self._arrival(self.idle_timeout_s)
                finally:
                    declined, self._take = self._take is None, None
                if declined:
                    return False

    def abort(self) -> None:
        """See `UpstreamReply.abort`."""
        if self._connection is not None:
            self.response.take()
            self._connection.fail(UpstreamError("the exchange was aborted", sent=True))

    def end(self, error: UpstreamError | None) -> None:
        """Called by the connection, which then belongs to somebody else."""
        if self._last_call is not None:
            self._last_call.cancel()
        self.response.close()
        self._connection = None
        self._error = error
        self.wake()

    def news(self) -> None:
        """Called by the connection when a part of the answer has arrived and more is to come."""
        take, waiter, connection = self._take, self._waiter, self._connection
        if take is None or waiter is None or connection is None or waiter.done():
            self.wake()
            return
        try:
            more = take(self.response.take())
        except Exception as error:  # noqa: BLE001  # whoever waits for `pour` is told
            waiter.set_exception(error)
        else:
            if more:
                self.deadline = connection.loop.time() + self._timeout_s
            else:
                self._take = None
                waiter.set_result(None)

    def wake(self) -> None:
        """End the wait under way."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def timed_out(self) -> UpstreamTimeoutError:
        """The error for the wait under way."""
        what = "more of the answer" if self.response.head_done else "the first byte"
        return UpstreamTimeoutError(
            f"timed out after {self._timeout_s:g} s waiting for {what}", sent=True
        )

    async def _arrival(self, timeout_s: float) -> None:
        """Wait for a call of `wake`, or for as long as `_take` takes."""
        connection = self._connection
        if connection is None:
            assert self._error is not None, "an exchange without a connection has ended"
            raise self._error
        assert self._waiter is None, "one reader at a time"
        loop = connection.loop
        self._waiter = loop.create_future()
        self._timeout_s = timeout_s
        self.deadline = loop.time() + timeout_s
        connection.watch(self.deadline)
        try:
            await self._waiter
        except asyncio.CancelledError:
            self.abort()
            raise
        finally:
            self._waiter = None
            self.deadline = inf
