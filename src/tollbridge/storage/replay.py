"""A session for an engine whose answers take a while: what is not known yet is told by an error.

The rules of the store are synchronous and depend only on what they read. So they are run on what
is known, the one read that is missing is asked of the server, and they are run again. What they
write is kept until they have come to their end.
"""

from collections.abc import Sequence

from tollbridge.storage.session import Row, Session, Value

Read = tuple[Value, ...]
"""The name of a statement and its parameters."""


class UnreadError(Exception):
    """The rules ask for something that was not read yet."""

    def __init__(self, read: Read) -> None:
        super().__init__(f"{read[0]!r} has to be read first")
        self.read = read


class ReplaySession(Session):
    """Answers from `known`, collects `writes`."""

    def __init__(self) -> None:
        self.known: dict[Read, Sequence[Row]] = {}
        self.writes: list[tuple[str, tuple[Row, ...]]] = []

    def rows(self, name: str, *parameters: Value) -> Sequence[Row]:
        """See `Session`.

        Raises:
            UnreadError: it is not known.
        """
        read = (name, *parameters)
        found = self.known.get(read)
        if found is None:
            raise UnreadError(read)
        return found

    def write(self, name: str, *rows: Row) -> None:
        """See `Session`."""
        if rows:
            self.writes.append((name, rows))
