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
