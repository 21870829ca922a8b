"""Loads the named statements of a `queries.*.sql` file.

Each statement begins with a line `-- name: NAME`, goes on with comment lines that say what it is
for, and ends with a semicolon. A reader of the file sees everything the store can run.
"""

import re
from importlib import resources

_NAME = re.compile(r"^-- name: *(\w+) *\n((?:--.*\n)+)", re.MULTILINE)


def read_sql(file_name: str) -> str:
    """The text of a file in `storage/sql`."""
    return resources.files("tollbridge.storage").joinpath("sql", file_name).read_text("utf-8")


def parse_queries(text: str) -> dict[str, str]:
    """Statements by name, without their comments.

    Raises:
        ValueError: two statements have one name, or a statement does not end with a semicolon.
    """
    _, *parts = _NAME.split(text)
    queries: dict[str, str] = {}
    for name, statement in zip(parts[0::3], parts[2::3], strict=True):
        if name in queries:
            raise ValueError(f"two statements are named {name}")
        if not statement.rstrip().endswith(";"):
            raise ValueError(f"the statement {name} does not end with a semicolon")
        queries[name] = statement.strip()
    return queries
