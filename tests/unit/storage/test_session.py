from collections.abc import Sequence

from tollbridge.storage.session import Row, Session, Value


class Fixed(Session):
    def rows(self, name: str, *parameters: Value) -> Sequence[Row]:
        return [(name, *parameters), ("second",)][: len(parameters) * 2]

    def write(self, name: str, *rows: Row) -> None:
        raise AssertionError(name, rows)


def test_a_row_is_the_first_or_none() -> None:
    assert Fixed().row("a", 1) == ("a", 1)
    assert Fixed().row("a") is None
