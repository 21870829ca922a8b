"""SQLite's library as a whole, before it is in use."""

import ctypes
from importlib.util import find_spec

MULTITHREAD = 2
MEMSTATUS = 9
"""`SQLITE_CONFIG_MULTITHREAD` and `SQLITE_CONFIG_MEMSTATUS` of sqlite3.h; their numbers are part
of SQLite's ABI."""


def leave_locking_to_python() -> bool:
    """Spare SQLite the locks that nothing needs here; returns whether it was done.

    By default a connection is locked in each call, although Python refuses to use one in another
    thread than its own; and memory is locked to be counted, which nobody asks for. Both together
    are a fourteenth of what the accounting of a request costs. What guards the library's own state
    between threads stays.

    SQLite only takes settings before it is started, which importing `sqlite3` does: later, or where
    the library is not at hand, nothing happens.
    """
    module = find_spec("_sqlite3")
    if module is None or not module.has_location or module.origin is None:
        return False
    try:
        configure = ctypes.CDLL(module.origin).sqlite3_config
    except (OSError, AttributeError):
        return False
    configure.argtypes = [ctypes.c_int]  # what follows is variadic
    refusals: int = configure(MULTITHREAD) or configure(MEMSTATUS, 0)
    return refusals == 0
