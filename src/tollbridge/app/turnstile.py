"""How many requests of one worker are under way at an upstream, and who waits for a place."""

import asyncio
from collections import deque

from tollbridge.errors import ErrorCode, GatewayError

BUSY_RETRY_AFTER_S = 1
"""What a client is told that found no place anywhere: answers end all the time."""


class Turnstile:
    """At most `places` inside. The others stand in a short line, first come, first served.

    While anyone stands in line no place is free, so that nobody can jump the queue: a place that
    is left goes to the first in line without being free in between.
    """

    def __init__(self, places: int, *, queue_max: int, queue_wait_s: float) -> None:
        self._places = places
        self._queue_max = queue_max
        self._queue_wait_s = queue_wait_s
        self._inside = 0
        self._line: deque[asyncio.Future[bool]] = deque()

    @property
    def inside(self) -> int:
        """How many are under way."""
        return self._inside

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return len(self._line)

    async def enter(self) -> None:
        """Take a place, waiting for it if need be. Whoever has entered calls `leave`, once.

        Raises:
            GatewayError: UPSTREAM_BUSY: the line is full, or the wait was too long.
        """
        if self._inside < self._places:
            self._inside += 1
        elif len(self._line) >= self._queue_max or not await self._turn():
            raise GatewayError(
                ErrorCode.UPSTREAM_BUSY,
                "The model's server has no free place; send it again in a moment.",
                retry_after_s=BUSY_RETRY_AFTER_S,
            )

    def try_enter(self) -> bool:
        """Take a place if one is free; otherwise there is nothing to leave."""
        free = self._inside < self._places
        self._inside += free
        return free

    def leave(self) -> None:
        """Give the place to the first in line, else free it."""
        while self._line:
            turn = self._line.popleft()
            if not turn.done():
                turn.set_result(True)
                return
        self._inside -= 1

    async def _turn(self) -> bool:
        """Stand in line. True: the place is ours. False: it took too long."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[bool] = loop.create_future()
        self._line.append(turn)
        timer = loop.call_later(self._queue_wait_s, self._give_up, turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn in self._line:
                self._line.remove(turn)
            elif not turn.cancelled() and turn.result():
                self.leave()  # our turn came in the moment we were cancelled
            raise
        finally:
            timer.cancel()

    def _give_up(self, turn: asyncio.Future[bool]) -> None:
        if not turn.done():
            self._line.remove(turn)
            turn.set_result(False)
