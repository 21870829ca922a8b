"""What a transaction offers to the code that decides: named statements to read and to write.

The rules of the store (`batch`, `counters`, `control`, `records`) are written once, against this
class. They are synchronous and depend on nothing but what they read, so that an engine whose
answers take a while may run them again.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from tollbridge.app.ports import StoreUnavailableError


class OutcomeUnknownError(StoreUnavailableError):
    """The database went away while it committed. `answer` is the command's, if it did commit."""

    def __init__(self, message: str, answer: object = None) -> None:
        super().__init__(message)
        self.answer = answer


Value = str | int | bytes | None
Row = tuple[Any, ...]
"""As the engine gives it: texts, integers, bytes and None, typed by who names the statement."""


class Session(ABC):
    """One transaction. The names are those of the `queries.*.sql` files."""

    @abstractmethod
    def rows(self, name: str, *parameters: Value) -> Sequence[Row]:
        """What a statement returns."""

    @abstractmethod
    def write(self, name: str, *rows: Row) -> None:
        """Run a statement once for each row of parameters."""

    def row(self, name: str, *parameters: Value) -> Row | None:
        """The first row of what a statement returns."""
        found = self.rows(name, *parameters)
        return found[0] if found else None
