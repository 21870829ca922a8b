import sqlite3

import pytest

from tollbridge.storage.queries import parse_queries, read_sql


def test_statements_are_found_by_name() -> None:
    text = "-- head\n\n-- name: one\n-- What for.\nSELECT 1\n  + 1;\n\n-- name: two\n-- W.\n-- V.\nSELECT 2;\n"
    assert parse_queries(text) == {"one": "SELECT 1\n  + 1;", "two": "SELECT 2;"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-- name: a\n-- W.\nSELECT 1;\n-- name: a\n-- W.\nSELECT 2;\n", "two statements"),
        ("-- name: a\n-- W.\nSELECT 1\n", "semicolon"),
    ],
)
def test_a_malformed_file_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_queries(text)


def test_every_statement_fits_the_schema() -> None:
    connection = sqlite3.connect(":memory:")
    connection.executescript(read_sql("schema.sqlite.sql"))
    text = read_sql("queries.sqlite.sql")
    queries = parse_queries(text)
    assert len(queries) == text.count("-- name:") - 1  # one is in the head comment
    for statement in queries.values():
        count = max((n for n in range(1, 30) if f"?{n}" in statement), default=0)
        connection.execute("EXPLAIN " + statement, (None,) * count)


def test_the_hot_path_reads_no_whole_table() -> None:
    connection = sqlite3.connect(":memory:")
    connection.executescript(read_sql("schema.sqlite.sql"))
    queries = parse_queries(read_sql("queries.sqlite.sql"))
    for name in ("admitted", "live_packs", "hold_legs", "find_usage", "find_key"):
        for *_, detail in connection.execute(
            "EXPLAIN QUERY PLAN " + queries[name], ("a", "b")[: 1 + ("?2" in queries[name])]
        ):
            assert not detail.startswith("SCAN"), (name, detail)
