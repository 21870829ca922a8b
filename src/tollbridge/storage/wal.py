"""Moves SQLite's write-ahead log into the database file, away from the event loop.

With `synchronous=NORMAL` a commit is a write without a sync: it survives the death of the process,
and the loop does not wait for a disk. The sync happens here, on a thread, about once a second. So
a power cut may lose the commits of the last second, but never leaves a database that contradicts
itself. (One sync stays on the loop: SQLite syncs the log's header when it begins the log anew, at
most once after each checkpoint.)
"""

import contextlib
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

from tollbridge.storage.sqlite_files import connect_to

CHECKPOINT_INTERVAL_S = 1.0

LOG_PAGES_MAX = 32_768
"""64 MiB. A log above this is begun anew at the price of a short write lock: under a load without a
pause, passive checkpoints never catch up with it. The file keeps its length: to cut it would make
the lock five times as long."""

LOG_BYTES_MAX = 256 * 1024 * 1024
"""A log that a long reader let grow above this is cut when it is begun anew."""

READERS_WAIT_S = 0.05
"""How long beginning anew may wait for a reader; writers wait as long."""


class Checkpointer:
    """A thread that checkpoints whenever something was committed since the last time."""

    def __init__(self, path: Path, commits: Callable[[], int]) -> None:
        self._path = path
        self._commits = commits
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wal-checkpointer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Returns when the thread has ended."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        seen = 0
        with contextlib.closing(connect_to(self._path, wait_s=READERS_WAIT_S)) as connection:
            while not self._stopping.wait(CHECKPOINT_INTERVAL_S):
                commits = self._commits()
                # An error is not told here: if it lasts, commits fail and tell it to their callers.
                with contextlib.suppress(sqlite3.OperationalError):
                    if commits != seen:
                        checkpoint(connection)
                        seen = commits


def checkpoint(connection: sqlite3.Connection, pages_max: int = LOG_PAGES_MAX) -> None:
    """Checkpoint without locking anybody out, and begin a log above `pages_max` anew.

    Raises:
        sqlite3.OperationalError: the database is locked or the disk fails.
    """
    _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    if pages > pages_max:
        connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
