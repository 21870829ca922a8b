"""Who gets which connection: decisions only. Connecting and closing are the caller's."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

C = TypeVar("C")


class Pool(Generic[C]):
    """Connections of one upstream: at most `limit`, counted from the decision to open one.

    Idle ones are handed out last in, first out, so that the surplus of a burst grows old and is
    closed. Callers beyond the limit stand in line; what becomes free goes to the first of them: a
    connection, or None for the permission to open one. While anyone stands in line nothing is
    idle, so that nobody can jump the queue.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open = 0
        self._idle: dict[C, float] = {}
        """With the moment since when; in the order of becoming idle."""
        self._line: deque[asyncio.Future[C | None]] = deque()

    @property
    def open(self) -> int:
        """How many are idle, in use or being opened."""
        return self._open

    @property
    def idle(self) -> int:
        """How many are idle."""
        return len(self._idle)

    @property
    def waiting(self) -> int:
        """How many callers stand in line."""
        return len(self._line)

    def take(self) -> C | None:
        """The connection that was used last, if one is idle."""
        return self._idle.popitem()[0] if self._idle else None

    def reserve(self) -> bool:
        """Count one more connection, which the caller then opens. False: the limit is reached."""
        if self._open >= self._limit:
            return False
        self._open += 1
        return True

    def join(self, waiter: asyncio.Future[C | None]) -> None:
        """Stand in line."""
        self._line.append(waiter)

    def leave(self, waiter: asyncio.Future[C | None]) -> None:
        """Stand in line no more. Does nothing if it was this waiter's turn."""
        if waiter in self._line:
            self._line.remove(waiter)

    def put(self, connection: C, now: float) -> None:
        """A connection is free."""
        if not self._hand_over(connection):
            self._idle[connection] = now

    def remove(self, connection: C) -> None:
        """A connection is closed, whether it was idle or in use."""
        self._idle.pop(connection, None)
        self.free_place()

    def free_place(self) -> None:
        """A place that was reserved is not needed."""
        if not self._hand_over(None):
            self._open -= 1

    def idle_since(self, moment: float) -> list[C]:
        """Those idle since `moment` or longer, to be closed."""
        return [connection for connection, since in self._idle.items() if since <= moment]

    def oldest(self) -> float | None:
        """Since when the longest idle connection is idle."""
        return next(iter(self._idle.values()), None)

    def _hand_over(self, connection: C | None) -> bool:
        while self._line:
            waiter = self._line.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return True
        return False
