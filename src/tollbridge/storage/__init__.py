"""Databases behind the ports of `app`."""

from tollbridge.storage.sqlite_library import leave_locking_to_python

lean = leave_locking_to_python()
"""Whether it could be done: before anything else of this floor imports `sqlite3`."""
