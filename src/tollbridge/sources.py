"""Where time and entropy come from. Everything else is given them."""

import secrets
import time

from tollbridge.units import Millis

ENTROPY_BYTES = 4_096
"""Drawn from the system at once: each draw is a system call."""


class Entropy:
    """Random bytes for secrets and ids; each is given out once."""

    def __init__(self) -> None:
        self._pool = b""
        self._used = 0

    def __call__(self, count: int) -> bytes:
        """That many bytes."""
        start, self._used = self._used, self._used + count
        if self._used > len(self._pool):
            self._pool = secrets.token_bytes(max(ENTROPY_BYTES, count))
            start, self._used = 0, count
        return self._pool[start : self._used]


def clock() -> Millis:
    """Milliseconds since the epoch."""
    return Millis(time.time_ns() // 1_000_000)
