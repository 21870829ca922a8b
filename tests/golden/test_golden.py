"""Golden conversations: one for each row of the mapping, in both dialects below each other.

The notation is explained in `tests/playbook.py`. `python -m tests.golden.rewrite` writes what goes
out now into the files, for a person to read and accept.
"""

import re
from pathlib import Path

import pytest
from tests.golden.rows import ELSEWHERE, ROWS
from tests.playbook import Playbook

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
FILES = {f"{path.parent.name}/{path.stem}": path for path in sorted(FOLDER.glob("*/*.txt"))}


@pytest.mark.parametrize("name", FILES)
def test_golden(name: str):
    text = FILES[name].read_text()
    book = Playbook(text)
    book.check()
    assert book.play() == text, "the file is not laid out as `rewrite` does it"


def told_rows() -> dict[str, list[str]]:
    """The rows that each file's first line names; what stands in brackets tells cases apart."""
    lines = {name: path.read_text().partition("\n")[0] for name, path in FILES.items()}
    return {
        name: [re.sub(r" \(.*\)$", "", row) for row in line.split(" + ")]
        for name, line in lines.items()
    }


@pytest.mark.parametrize("row", ROWS)
def test_every_row_has_its_conversation(row: str):
    told = {one for rows in told_rows().values() for one in rows}
    if row in ELSEWHERE:
        path, _, test = ELSEWHERE[row].partition("::")
        assert f"def {test}(" in (ROOT / path).read_text()
        assert row not in told, "it has a conversation now: take it out of ELSEWHERE"
    else:
        assert row in told


def test_no_file_names_a_row_that_does_not_exist():
    strays = {name: rows for name, rows in told_rows().items() if not set(rows) <= set(ROWS)}
    assert not strays
