"""SQLite's settings, which it takes before it is started and not after."""

import subprocess
import sys

PROGRAM = """
import importlib.util, pathlib, tollbridge
source = pathlib.Path(tollbridge.__path__[0], "storage", "sqlite_library.py")
spec = importlib.util.spec_from_file_location("sqlite_library", source)
library = importlib.util.module_from_spec(spec)
spec.loader.exec_module(library)
print(library.leave_locking_to_python())
import sqlite3
connection = sqlite3.connect(":memory:")
print(connection.execute("SELECT 1 + 1").fetchone()[0])
print(library.leave_locking_to_python())
"""


def printed(program: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_before_the_library_is_started_and_after():
    assert printed(PROGRAM) == ["True", "2", "False"]


def test_the_gateway_is_in_time():
    assert printed("import tollbridge.cli.main, tollbridge.storage as s; print(s.lean)") == ["True"]
