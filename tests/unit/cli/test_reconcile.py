import asyncio
from pathlib import Path

import pytest
from tests.contract.samples import DAY_MS, admission, grant, need, settlement
from tests.unit.cli.conftest import Run, check_failure

from tollbridge.bootstrap import open_store
from tollbridge.cli.reconcile import BillError, read_bill
from tollbridge.ledger.reconcile import Billed, Counts
from tollbridge.units import EnvId, Millis
from tollbridge.usage import Provenance, TokenUsage

HEADER = "date,model,input_tokens,cache_read_tokens,cache_write_tokens,output_tokens\n"


def bill(tmp_path: Path, *lines: str, header: str = HEADER) -> Path:
    path = tmp_path / "bill.csv"
    path.write_text(header + "".join(f"{line}\n" for line in lines))
    return path


def use(tmp_path: Path) -> None:
    """Two reported requests and a counted one, on the first of January 1970."""

    async def live() -> None:
        env = EnvId("team-a")
        store = open_store(tmp_path / "data")
        await store.grant(grant("p", 10_000, env_id=env))
        for number, provenance in enumerate(["reported", "reported", "counted"]):
            request_id = f"r{number}"
            await store.admit(admission(request_id, need(), env_id=env, generation=2))
            done = settlement(
                request_id,
                30,
                DAY_MS - 1,
                env_id=env,
                usage=TokenUsage(10, 1, 2, 20),
                provenance=Provenance(provenance),
            )
            await store.settle(done)
        await store.close("w")

    asyncio.run(live())


def test_agreement(run: Run, env: str, tmp_path: Path):
    use(tmp_path)
    path = bill(tmp_path, "1970-01-01,hunyuan-turbo,30,3,6,60")
    said = run("ledger", "reconcile", path)
    assert (said.status, said.out) == (0, "Everything agrees.\n")
    assert run("ledger", "reconcile", path, "--json").json() == []


def test_differences_by_cause(run: Run, env: str, tmp_path: Path):
    use(tmp_path)
    path = bill(tmp_path, "1970-01-01,hunyuan-turbo,31,3,6,59", "1970-01-02,unheard-of,5,,0,1")
    said = run("ledger", "reconcile", path)
    assert said.status == 1
    assert "counted, not reported" in said.out
    assert "+1 +0 +0 -1" in said.out
    assert "missing here" in said.out
    findings = run("ledger", "reconcile", path, "--json").json()
    assert findings[0] == {
        "day": "1970-01-01",
        "model": "hunyuan-turbo",
        "cause": "counted, not reported",
        "requests": 1,
        "counts": {"input": 10, "cache_read": 1, "cache_write": 2, "output": 20},
        "difference": {"input": 1, "cache_read": 0, "cache_write": 0, "output": -1},
    }


def test_a_bill_is_read(tmp_path: Path):
    header = "\ufeffmodel,date,price," + HEADER.split(",", 2)[2]
    path = bill(tmp_path, "m,2026-01-31,9.99,1,2,3,4", header=header)
    assert read_bill(path) == [Billed("2026-01-31", "m", Counts(1, 2, 3, 4))]


@pytest.mark.parametrize(
    ("lines", "header", "words"),
    [
        ((), HEADER, "no line"),
        (("x",), "date,model\n", "no column input_tokens"),
        (("yesterday,m,1,1,1,1",), HEADER, "line 2"),
        (("2026-01-01,m,many,1,1,1",), HEADER, "line 2"),
    ],
)
def test_what_is_no_bill(run: Run, env: str, tmp_path: Path, lines, header, words):
    path = bill(tmp_path, *lines, header=header)
    with pytest.raises(BillError, match=words):
        read_bill(path)
    check_failure(run("ledger", "reconcile", path), "bill.csv", words)


def test_a_file_that_is_not_there(run: Run, env: str):
    check_failure(run("ledger", "reconcile", "nowhere.csv"), "nowhere.csv", "No such file")


def test_days_are_utc(tmp_path: Path):
    from tollbridge.cli.reconcile import _midnight

    assert _midnight("1970-01-02") == DAY_MS
    assert _midnight("1970-01-01", days_later=1) == Millis(DAY_MS)
