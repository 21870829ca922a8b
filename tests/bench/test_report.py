"""Medians over the rounds; a report that tells everything a reader must know."""

import json

from bench.gateway.report import report, table
from bench.gateway.results import Cell, Results, pair_name

CELL = Cell("one-shot", "tollbridge")


def sample() -> Results:
    made = Results("--quick", "2026-01-01", "a machine")
    for value in (30, 10, 20):
        made.add(CELL, {"cpu_us": value, "rate": 1000})
    made.add(Cell("one-shot", "caddy"), {"cpu_us": 25})
    made.fail(Cell("paced-200", "tollbridge"), RuntimeError("it ended"))
    made.versions["caddy"] = "2.6"
    made.note("the machine was busy")
    made.note("the machine was busy")
    return made


def test_the_median_of_all_rounds_counts():
    assert sample().median(CELL, "cpu_us") == 20
    assert sample().median(CELL, "stream_kb") is None


def test_pairs_are_named():
    assert pair_name("chat", "chat") == "chat"
    assert pair_name("messages", "chat") == "messages on chat"


def test_a_report_says_it_all():
    text = report(sample())
    assert "Medians of 1 to 3 rounds" in text
    assert "| passed through: CPU at most 1.1 x Caddy's | 0.80 x | yes |" in text
    assert "| tollbridge | messages | 20.0 | 1000 |" in text
    assert "| caddy | messages | 25.0 | - |" in text
    assert "- caddy: 2.6" in text
    assert "paced-200, tollbridge, messages: FAILED: RuntimeError: it ended" in text
    assert text.count("the machine was busy") == 1


def test_nothing_measured_is_a_report_too():
    assert "no rounds" in report(Results("--quick", "2026-01-01", "a machine"))


def test_raw_values_are_kept():
    kept = json.loads(json.dumps(sample().as_json()))
    assert kept["rounds"][0]["cpu_us"] == [30, 10, 20]
    assert kept["failures"][0]["load"] == "paced-200"


def test_a_table():
    assert table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
