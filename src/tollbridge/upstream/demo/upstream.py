"""The demo model behind the port `Upstream`: plays a script in real time."""

import asyncio
from collections.abc import Callable, Mapping

from tollbridge.app.ports import UpstreamError, UpstreamReply, UpstreamRequest
from tollbridge.upstream.demo.script import Script
from tollbridge.upstream.demo.service import respond

_PACE_MS = 15.0
"""About 65 tokens a second: a stream that is seen to be one."""


class DemoUpstream:
    """An upstream in the process. It is always there and always speaks Anthropic Messages."""

    def __init__(self, pace_ms: float = _PACE_MS) -> None:
        """`pace_ms`: silence before each piece of a stream; with 0 a stream is one read."""
        self._pace_ms = pace_ms

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        """Answer a request. Never raises: what is wrong with it is an HTTP status."""
        if request.on_sent is not None:
            request.on_sent()
        return _DemoReply(respond(request.method, request.path, request.body, self._pace_ms))

    async def close(self) -> None:
        """There is nothing to close."""


class _DemoReply:
    """A script being played. Time goes on between reads: a slow reader finds more to read."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._next = 0
        self._loop = asyncio.get_running_loop()
        self._now = self._loop.time()
        """When the step before the next one was sent, by the loop's clock."""
        self._pause: asyncio.Future[None] | None = None
        self._aborted = False

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._script.status

    @property
    def headers(self) -> Mapping[str, str]:
        """With lower-case names."""
        return self._script.headers

    async def read(self) -> bytes:
        """What is due by now, waiting for at least one step; b"" at the end.

        Raises:
            UpstreamError: the script is cut here, or the reply was aborted.
        """
        if self._aborted:
            raise UpstreamError("The reply was aborted", sent=True)
        steps = self._script.steps
        if self._next == len(steps):
            if self._script.cut:
                raise UpstreamError("The demo model broke off, as it was told to", sent=True)
            return b""
        await self._sleep_until(self._now + steps[self._next].wait_ms / 1000)
        due: list[bytes] = []
        time = self._loop.time()
        while self._next < len(steps):
            step = steps[self._next]
            at = self._now + step.wait_ms / 1000
            if due and at > time:
                break
            due.append(step.data)
            self._now = at
            self._next += 1
        return b"".join(due)

    @property
    def at_end(self) -> bool:
        """See `UpstreamReply.at_end`."""
        return self._next == len(self._script.steps) and not self._script.cut

    async def pour(self, take: Callable[[bytes], bool]) -> bool:
        """See `UpstreamReply.pour`."""
        while data := await self.read():
            if not take(data):
                return False
        return True

    def abort(self) -> None:
        """Stop at once; a pending `read` raises. After the end of the body this does nothing."""
        if self.at_end:
            return
        self._aborted = True
        if self._pause is not None and not self._pause.done():
            self._pause.set_exception(UpstreamError("The reply was aborted", sent=True))

    async def _sleep_until(self, at: float) -> None:
        if at <= self._loop.time():
            return
        self._pause = pause = self._loop.create_future()
        timer = self._loop.call_at(at, _wake, pause)
        try:
            await pause
        finally:
            timer.cancel()
            self._pause = None


def _wake(pause: asyncio.Future[None]) -> None:
    if not pause.done():
        pause.set_result(None)
