"""What the translation of one stream has to keep of it, held to a bound."""

from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.units import HELD_CHARS_MAX


class Held:
    """Counts what is kept: arguments of calls, thinking that is signed or sent later."""

    __slots__ = ("_chars",)

    def __init__(self) -> None:
        self._chars = 0

    def add(self, text: str) -> str:
        """The same text, of which note is taken.

        Raises:
            GatewayError: UPSTREAM_FAILED beyond `HELD_CHARS_MAX` characters.
        """
        self._chars += len(text)
        if self._chars > HELD_CHARS_MAX:
            raise GatewayError(
                ErrorCode.UPSTREAM_FAILED,
                "The model's server sent tool calls and thinking of more than "
                f"{HELD_CHARS_MAX} characters.",
            )
        return text
