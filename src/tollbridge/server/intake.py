"""How many exchanges a worker takes on: the others are told so at once, before they cost anything.

A worker that takes on more than it can do serves everybody late and nobody well. So there is a
number of places, a short line before them, and a ceiling of memory above which no more come in.
"""

import asyncio
from collections import deque
from typing import NamedTuple, NoReturn

from tollbridge.config import ServerConfig
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.units import MIB

RETRY_AFTER_S = 1
AGAIN_BELOW = 0.9
"""Of the memory ceiling: having been above it, a worker takes on exchanges again below this."""


class IntakeLimits(NamedTuple):
    """See `config.ServerConfig`."""

    requests_max: int
    queue_max: int
    queue_wait_s: float
    memory_bytes_max: int

    @classmethod
    def of(cls, server: ServerConfig) -> "IntakeLimits":
        """Those of the operator's file."""
        return cls(
            server.requests_max,
            server.queue_max,
            server.queue_wait_s,
            server.memory_mib_max * MIB,
        )


class Intake:
    """Whoever gets a place by `take` or `wait` gives it back by `leave`."""

    def __init__(self, limits: IntakeLimits) -> None:
        self.limits = limits
        self.inside = 0
        """Exchanges under way."""
        self.full_of_memory = False
        self._line: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return len(self._line)

    def take(self) -> bool:
        """A place, if one is free at once."""
        if self.inside >= self.limits.requests_max or self._line or self._short_of_memory():
            return False
        self.inside += 1
        return True

    async def wait(self) -> None:
        """Stand in line for a place.

        Raises:
            GatewayError: GATEWAY_OVERLOADED, because the line is full or does not move, or memory
                is short.
        """
        limits = self.limits
        if self._short_of_memory():
            _refuse("has used up the memory that it may use")
        if len(self._line) >= limits.queue_max:
            _refuse(f"has {limits.requests_max} requests under way and no room for more to wait")
        loop = asyncio.get_running_loop()
        place: asyncio.Future[None] = loop.create_future()
        self._line.append(place)
        timer = loop.call_later(limits.queue_wait_s, place.cancel)
        try:
            await place
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                if place.done() and not place.cancelled():
                    self.leave()  # the place came in the same moment
                raise
            _refuse(f"had no place for this request within {limits.queue_wait_s:g} s")
        finally:
            timer.cancel()
            if place in self._line:
                self._line.remove(place)

    def leave(self) -> None:
        """An exchange has ended; the first in line takes its place."""
        self.inside -= 1
        self._let_in()

    def use(self, limits: IntakeLimits) -> None:
        """From now on. If there are more places than before, who is in line gets them."""
        self.limits = limits
        self._let_in()

    def _let_in(self) -> None:
        while self._line and self.inside < self.limits.requests_max:
            place = self._line.popleft()
            if not place.done():
                self.inside += 1
                place.set_result(None)

    def weigh(self, resident_bytes: int) -> bool:
        """Note how much memory the process has. Returns whether that changed what it takes on."""
        ceiling = self.limits.memory_bytes_max
        before = self.full_of_memory
        self.full_of_memory = bool(ceiling) and resident_bytes > (
            ceiling * AGAIN_BELOW if before else ceiling
        )
        return self.full_of_memory != before

    def _short_of_memory(self) -> bool:
        # Memory that nobody gives back must not end the service: one at a time is served.
        return self.full_of_memory and self.inside > 0


def _refuse(why: str) -> NoReturn:
    raise GatewayError(
        ErrorCode.GATEWAY_OVERLOADED,
        f"This gateway is overloaded: it {why}. Nothing was charged; send it again.",
        retry_after_s=RETRY_AFTER_S,
    ) from None
