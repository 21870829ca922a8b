"""How a SQLite database is opened: a file, or a place in this process's memory.

A path below `MEMORY`, as `:memory:/name`, names a database that every connection of this process
shares and that is gone with the last of them: the same store in every respect but its durability,
for tests. A reader and a writer exclude each other there, for as long as a transaction takes.
"""

import sqlite3
from pathlib import Path
from typing import Literal

MEMORY = Path(":memory:")


def connect_to(
    path: Path, *, mode: Literal["ro", "rwc"] = "rwc", wait_s: float
) -> sqlite3.Connection:
    """A connection without implicit transactions; locks are waited for `wait_s` seconds.

    Raises:
        sqlite3.OperationalError: it cannot be opened; with `ro`, also if it is not there.
    """
    # SQLite's `memdb` file system shares what has a name with a slash in front.
    in_memory = path.parent == MEMORY
    uri = f"file:/{path.name}?vfs=memdb&" if in_memory else f"{path.absolute().as_uri()}?"
    return sqlite3.connect(f"{uri}mode={mode}", uri=True, timeout=wait_s, isolation_level=None)
