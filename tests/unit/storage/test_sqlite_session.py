from pathlib import Path

from tollbridge.storage.sqlite import connect
from tollbridge.storage.sqlite_session import SqliteSession


def test_statements_run_by_name(tmp_path: Path) -> None:
    session = SqliteSession(connect(tmp_path / "ledger.db", "NORMAL"))
    session.write("keep_price", ("v1", "{}", 3), ("v2", "[]", 4))
    assert session.rows("find_price", "v2") == [("[]",)]
    assert session.row("find_price", "v1") == ("{}",)
    assert session.row("find_price", "v9") is None
    session.connection.close()
