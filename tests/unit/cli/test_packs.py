import re

import pytest
from tests.unit.cli.conftest import Run, check_failure

from tollbridge.units import MICRO


def test_grant_and_list(run: Run, env: str):
    assert run("pack", "list").out == "No pack yet: `tollbridge pack grant`.\n"
    said = run("pack", "grant", "1.5M", "--id", "p1", "--expires-in", "30d", "--model", "demo")
    assert said.out == f"Granted 1,500,000 credits to {env} as p1.\n"
    listed = run("pack", "list", "--env", env)
    assert re.search(r"p1 +team-a +1,500,000 +1,500,000 +0 +0 +0 +demo +20", listed.out)
    (row,) = run("pack", "list", "--json").json()
    assert row["granted"] == row["available"] == 1_500_000 * MICRO
    assert row["models"] == "demo"


def test_a_repeated_grant_happens_once(run: Run, env: str):
    assert run("pack", "grant", "5", "--id", "p1", "--json").json() == {
        "pack": "p1", "environment": env, "micro_credits": 5 * MICRO, "exists": False,
    }  # fmt: skip
    again = run("pack", "grant", "5", "--id", "p1")
    assert again.out == "p1 had been granted before; nothing changed.\n"
    assert run("pack", "grant", "5", "--id", "p1", "--json").json()["exists"] is True
    check_failure(run("pack", "grant", "6", "--id", "p1"), "another amount", "--id")
    assert len(run("pack", "list", "--json").json()) == 1


def test_failures_as_json_are_json_too(run: Run, env: str):
    said = run("pack", "grant", "5", "--env", "no-such", "--json")
    assert said.status == 1
    assert "no-such" in said.json()["error"]


@pytest.mark.parametrize(
    "amount", ["0", "x", "_", ",", "1e9", "1.1234567", "9999G", "5m", "\u0663"]
)
def test_no_amount(run: Run, env: str, amount: str):
    said = run("pack", "grant", amount)
    assert said.status == 2
    assert "amount" in said.err or repr(amount) in said.err
    assert run("pack", "list", "--json").json() == []


def test_a_correction_and_the_statement(run: Run, env: str):
    assert run("pack", "grant", "100", "--id", "p").status == 0
    said = run("pack", "correct", "p", "--amount", "2.5", "--reason", "late delivery", "--id", "c1")
    assert said.out == "Added 2.5 credits to p as c1.\n"
    again = run(
        "pack", "correct", "p", "--amount", "2.5", "--reason", "late delivery", "--id", "c1"
    )
    assert again.out == "c1 had been made before; nothing changed.\n"
    back = run("pack", "correct", "p", "--amount=-50", "--reason", "paid back", "--json").json()
    assert back["micro_credits"] == -50_000_000
    rows = run("pack", "statement", "p", "--json").json()
    assert [(row["kind"], row["amount"], row["available"], row["reason"]) for row in rows] == [
        ("grant", 100_000_000, 100_000_000, ""),
        ("add", 2_500_000, 102_500_000, "late delivery"),
        ("take_back", 50_000_000, 52_500_000, "paid back"),
    ]
    header, *lines = run("pack", "statement", "p", "--csv").out.splitlines()
    assert header == "at,kind,request_id,amount,available,held,spent,expired,granted,reason"
    assert lines[2].endswith(",50000000,52500000,0,0,0,52500000,paid back")
    assert "52.5" in run("pack", "statement", "p").out
    assert run("ledger", "audit", "--json").json()["differences"] == []


def test_corrections_that_are_refused(run: Run, env: str):
    assert run("pack", "grant", "100", "--id", "p").status == 0
    assert run("pack", "correct", "p", "--amount", "1", "--reason", "a", "--id", "c").status == 0
    for arguments, words in (
        (("p", "--amount=-102", "--reason", "all"), ("available", "pack list")),
        (("q", "--amount", "1", "--reason", "why"), ("no pack q", "pack list")),
        (("p", "--amount", "2", "--reason", "a", "--id", "c"), ("another amount", "--id")),
    ):
        check_failure(run("pack", "correct", *arguments), *words)
    check_failure(run("pack", "statement", "q"), "no pack q")
    assert run("pack", "correct", "p", "--amount", "1", "--reason", " ").status == 2
