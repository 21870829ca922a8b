"""What the translation of one answer has to keep of it, held to a bound."""

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.units import HELD_BYTES_MAX

FRAGMENT_BYTES = 64
"""What is kept takes so much beside its text: a flood of tiny fragments is a flood, too."""
WIDE_BYTES = 4
"""What a character takes at most; in a text that is all ASCII it takes one."""


class Held:
    """Counts what is kept: arguments of calls, thinking that is signed or sent later."""

    __slots__ = ("_bytes", "_what")

    def __init__(self, what: str = "tool calls and thinking") -> None:
        self._bytes = 0
        self._what = what

    def add(self, text: str) -> str:
        """The same text, of which note is taken.

        Raises:
            GatewayError: like `count`.
        """
        self.count(len(text) if text.isascii() else WIDE_BYTES * len(text))
        return text

    def count(self, size_bytes: int) -> None:
        """Something is kept.

        Raises:
            GatewayError: UPSTREAM_FAILED beyond `HELD_BYTES_MAX` in all.
        """
        self._bytes += FRAGMENT_BYTES + size_bytes
        if self._bytes > HELD_BYTES_MAX:
            raise GatewayError(
                ErrorCode.UPSTREAM_FAILED,
                f"The model's server sent more than {HELD_BYTES_MAX} bytes of {self._what}.",
            )
