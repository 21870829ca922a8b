import json

import pytest
import typer

from tollbridge.cli.output import credits_text, fail, print_json, print_rows, say, time_text


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0"), (1, "0.000001"), (1_500_000, "1.5"), (10**6, "1"), (1_234_567_000_000, "1,234,567"),
     (10**18 + 10, "1,000,000,000,000.00001")],
)  # fmt: skip
def test_credits_are_exact(amount: int, text: str):
    assert credits_text(amount) == text


def test_times_are_utc():
    assert time_text(0) == "1970-01-01 00:00:00Z"
    assert time_text(1_800_000_000_999) == "2027-01-15 08:00:00Z"
    assert time_text(None) is None


def test_rows_for_people(capsys: pytest.CaptureFixture[str]):
    rows = [
        {"key_id": "a" * 150, "count": 5, "note": "[bold]x[/] :smile:"},
        {"key_id": "b", "count": 10, "note": None},
    ]
    print_rows(rows, as_json=False, empty="")
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["key", "id", "count", "note"]
    assert first.split() == ["a" * 150, "5", "[bold]x[/]", ":smile:"]
    assert second.split() == ["b", "10", "-"]
    print_rows([], as_json=False, empty="Nothing yet.")
    assert capsys.readouterr().out == "Nothing yet.\n"


def test_rows_for_scripts(capsys: pytest.CaptureFixture[str]):
    rows = [{"key_id": "工", "count": 5}]
    print_rows(rows, as_json=True, empty="")
    assert json.loads(capsys.readouterr().out) == rows
    print_rows([], as_json=True, empty="Nothing yet.")
    assert capsys.readouterr().out == "[]\n"


def test_say(capsys: pytest.CaptureFixture[str]):
    say("A sentence.", {"a": 1}, as_json=False)
    say("A sentence.", {"a": 1}, as_json=True)
    print_json([1])
    assert capsys.readouterr().out == 'A sentence.\n{"a":1}\n[1]\n'


@pytest.mark.parametrize("as_json", [False, True])
def test_fail(capsys: pytest.CaptureFixture[str], as_json: bool):
    with pytest.raises(typer.Exit) as caught:
        fail("no; do this", as_json=as_json)
    assert caught.value.exit_code == 1
    said = capsys.readouterr()
    assert said.err == "tollbridge: no; do this\n"
    assert said.out == ('{"error":"no; do this"}\n' if as_json else "")
