import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tollbridge.storage.sqlite_files import MEMORY, connect_to


def test_what_is_in_memory_is_shared_by_name_and_ends_with_its_connections(memory: Path) -> None:
    with (
        closing(connect_to(memory, wait_s=1)) as first,
        closing(connect_to(memory, wait_s=1)) as second,
    ):
        first.execute("CREATE TABLE seen (number)")
        first.execute("INSERT INTO seen VALUES (7)")
        assert second.execute("SELECT * FROM seen").fetchall() == [(7,)]
        with closing(connect_to(MEMORY / "other", wait_s=1)) as other:
            assert other.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
    with closing(connect_to(memory, wait_s=1)) as later:
        assert later.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
    assert not MEMORY.exists()


@pytest.mark.parametrize("name", ["a b?c#d%20e", "工"])
def test_a_file_may_have_any_name(name: str, tmp_path: Path) -> None:
    with closing(connect_to(tmp_path / name, wait_s=1)) as connection:
        connection.execute("CREATE TABLE seen (number)")
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_who_only_reads_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        connect_to(tmp_path / "missing", mode="ro", wait_s=1)
    assert list(tmp_path.iterdir()) == []
    with closing(connect_to(tmp_path / "there", wait_s=1)) as connection:
        connection.execute("CREATE TABLE seen (number)")
    with (
        closing(connect_to(tmp_path / "there", mode="ro", wait_s=1)) as reader,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        reader.execute("INSERT INTO seen VALUES (7)")
