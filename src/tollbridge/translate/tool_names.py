"""Tool names that are longer than an upstream takes (protocol notes C.9.12)."""

from hashlib import sha256

from tollbridge.errors import ErrorCode, GatewayError

_HASH_CHARS = 8


class ToolNames:
    """The names of one request as the upstream is told them, and back.

    A long name keeps its beginning and ends in a hash of the whole, so that it is the same in
    every turn and on every replica.
    """

    __slots__ = ("_longest", "_originals")

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._originals: dict[str, str] = {}

    def shorten(self, name: str) -> str:
        """The name for the upstream.

        Raises:
            GatewayError: FIELD_INVALID if two different names became the same.
        """
        if len(name) <= self._longest:
            return name
        digest = sha256(name.encode()).hexdigest()[:_HASH_CHARS]
        short = f"{name[: self._longest - _HASH_CHARS - 1]}_{digest}"
        if self._originals.setdefault(short, name) != name:
            raise GatewayError(
                ErrorCode.FIELD_INVALID,
                f"tools: two names that begin with {name[: self._longest]!r} are too long for the"
                " model's server and cannot be told apart when shortened.",
                field="tools",
            )
        return short

    def restore(self, name: str) -> str:
        """The client's name for what the upstream calls."""
        return self._originals.get(name, name)
