"""The pages of the ledger name what is there, and all of it."""

import re
from pathlib import Path

from tollbridge.app.admission import REFUSALS
from tollbridge.errors import PROBLEMS
from tollbridge.ledger.model import Refusal
from tollbridge.ledger.reconcile import Cause
from tollbridge.ledger.tariff import Outcome
from tollbridge.usage import Provenance

ROOT = Path(__file__).resolve().parents[2]
TARIFF = (ROOT / "docs" / "tariff.md").read_text()
LEDGER = (ROOT / "docs" / "ledger.md").read_text()
FINAL = {
    *(Refusal.DUPLICATE, Refusal.KEY_EXPIRED, Refusal.KEY_EXHAUSTED, Refusal.EXHAUSTED),
}


def table_after(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    lines = text.split(f"## {heading}\n", 1)[1].splitlines()
    rows = [line for line in lines if line.startswith("|")]
    first = lines.index(rows[0])
    whole = lines[first : lines.index("", first)]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in whole[2:]]


def test_every_row_of_the_tariff_names_its_test():
    rows = [line for line in TARIFF.splitlines() if line.startswith("|")][2:]
    tests = "".join(
        (ROOT / path).read_text() for path in re.findall(r"`(tests/[\w/]+\.py)`", TARIFF)
    )
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row)
        assert named, row
        for name in named:
            assert f"def {name}(" in tests, f"{name} is named, but does not exist"


def test_the_tariff_is_complete():
    for word in (*Outcome, *Provenance):
        assert f"`{word}`" in TARIFF


def test_the_results_are_in_order_of_precedence():
    rows = table_after(LEDGER, "Admission")
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row[0])]
    assert named == [refusal.name for refusal in Refusal]
    for row in rows[:-1]:
        for name in re.findall(r"`(\w+)`", row[0]):
            refusal = Refusal[name]
            assert row[-1] == ("final" if refusal in FINAL else "passing"), name
            problem = PROBLEMS[REFUSALS[refusal][0]]
            for code in re.findall(r"`([A-Z_]+)`", row[2]):
                assert code == problem.code
            if refusal is not Refusal.DUPLICATE:
                assert problem.retryable is (refusal not in FINAL)


def test_commands_exist():
    from typer.testing import CliRunner

    from tollbridge.cli.main import app

    for page in (TARIFF, LEDGER):
        for words in re.findall(r"^tollbridge ([a-z]+ [a-z]+)", page, re.MULTILINE):
            result = CliRunner().invoke(app, [*words.split(), "--help"])
            assert result.exit_code == 0, words


def test_every_cause_is_told():
    text = LEDGER.split("## Reconcile", 1)[1]
    for cause in Cause:
        assert cause.value.split(",")[0] in text
