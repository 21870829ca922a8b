import contextlib
import sqlite3
import threading
from pathlib import Path

import pytest

from tollbridge.storage import sqlite, wal
from tollbridge.storage.sqlite import connect


def fill(connection: sqlite3.Connection) -> None:
    for number in range(20):
        connection.execute(
            "INSERT INTO environments (env_id, name, created_at) VALUES (hex(randomblob(900)), '', ?)",
            (number,),
        )


@contextlib.contextmanager
def database(path: Path):
    with (
        contextlib.closing(connect(path, "NORMAL")) as writer,
        contextlib.closing(sqlite3.connect(path, timeout=0)) as checkpointer,
    ):
        yield writer, checkpointer


def test_a_short_log_is_moved_and_kept(tmp_path: Path) -> None:
    log = tmp_path / "ledger.db-wal"
    with database(tmp_path / "ledger.db") as (writer, checkpointer):
        fill(writer)
        size = log.stat().st_size
        wal.checkpoint(checkpointer)
        assert log.stat().st_size == size
        for _ in range(10):
            fill(writer)
            wal.checkpoint(checkpointer)
        assert log.stat().st_size < 5 * size, "the log is begun anew, not lengthened"


def test_a_long_log_is_begun_anew(tmp_path: Path) -> None:
    with database(tmp_path / "ledger.db") as (writer, checkpointer):
        fill(writer)
        length = (tmp_path / "ledger.db-wal").stat().st_size
        said: list[str] = []
        checkpointer.set_trace_callback(said.append)
        wal.checkpoint(checkpointer, pages_max=5)
        assert [line.split("(")[1] for line in said] == ["PASSIVE)", "RESTART)"]
        writer.execute("DELETE FROM environments")
        assert (tmp_path / "ledger.db-wal").stat().st_size == length


def test_a_log_that_grew_too_long_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "LOG_BYTES_MAX", 20_000)
    with database(tmp_path / "ledger.db") as (writer, checkpointer):
        fill(writer)
        wal.checkpoint(checkpointer, pages_max=5)
        writer.execute("DELETE FROM environments WHERE created_at = 7")
        assert (tmp_path / "ledger.db-wal").stat().st_size == 20_000


def test_a_reader_is_not_disturbed(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with database(path) as (writer, checkpointer):
        fill(writer)
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM environments").fetchone()
        fill(writer)
        wal.checkpoint(checkpointer, pages_max=5)
        assert reader.execute("SELECT count(*) FROM environments").fetchone() == (20,)
        reader.close()
        assert writer.execute("SELECT count(*) FROM environments").fetchone() == (40,)


def test_the_thread_checkpoints_what_was_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = threading.Semaphore(0)
    seen: list[int] = []

    def observed(connection: sqlite3.Connection) -> None:
        seen.append(threading.get_ident())
        done.release()
        if len(seen) == 1:
            raise sqlite3.OperationalError("locked for a moment")

    monkeypatch.setattr(wal, "checkpoint", observed)
    monkeypatch.setattr(wal, "CHECKPOINT_INTERVAL_S", 0.001)
    checkpointer = wal.Checkpointer(tmp_path / "ledger.db", lambda: 7)
    assert done.acquire(timeout=5)
    assert done.acquire(timeout=5), "a failure is tried again"
    checkpointer.stop()
    assert len(seen) == 2, "nothing new, nothing to do"
    assert threading.get_ident() not in seen
