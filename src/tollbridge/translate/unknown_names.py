"""Names that a client or an upstream used and that the vocabularies do not know.

They are passed on or passed over (protocol notes C.9.21), but not in silence: an operator who sees
them knows that a protocol has grown.
"""

NAMES_MAX = 16
"""Kept of one exchange."""
NAME_CHARS_MAX = 64


class UnknownNames:
    """The names met in one exchange, each once, in order."""

    __slots__ = ("_names",)

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], None] = {}

    def note(self, kind: str, name: str) -> None:
        """Remember a name; `kind` says what it is the name of, as `dispositions` has it."""
        if len(self._names) < NAMES_MAX:
            self._names[kind, name[:NAME_CHARS_MAX]] = None

    def names(self) -> list[tuple[str, str]]:
        """All, as (kind, name)."""
        return list(self._names)
