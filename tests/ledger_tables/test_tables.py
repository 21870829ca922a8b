"""Runs the tables beside this file against the SQLite store.

A line is `moment | command | result`. A line without a moment reads a pack back: its balances are
`available held spent expired`. `#` begins a comment. Commands:

    grant   PACK AMOUNT [until MOMENT] [for MODEL]
    admit   REQUEST INPUT + FLOOR..OUTPUT x WEIGHT [model MODEL] [worker WORKER]
    settle  REQUEST AMOUNT
    alive   WORKER [REQUEST CHARGE]...      a checkpoint
    sweep
"""

import asyncio
import re
from pathlib import Path

import pytest
from tests.contract.samples import ENV, MODEL, admission, checkpoint, grant, need, settlement

from tollbridge.app.ports import GrantConflictError, SettlementConflictError, UnknownHoldError
from tollbridge.ledger.audit import audit
from tollbridge.ledger.model import Refusal
from tollbridge.storage.sqlite import SqliteStore, audit_rows
from tollbridge.units import Millis

TABLES = sorted(Path(__file__).parent.glob("*.txt"))
ADMIT = re.compile(r"(\S+) (\d+) \+ (\d+)\.\.(\d+) x (\d+)(?: model (\S+))?(?: worker (\S+))?")
GRANT = re.compile(r"(\S+) (\d+)(?: until (\d+))?(?: for (\S+))?")


async def run(store: SqliteStore, command: str, now: int) -> str:
    verb, _, rest = command.partition(" ")
    words = rest.split()
    if verb == "grant":
        pack_id, amount, until, model = GRANT.fullmatch(rest).groups()
        models = (model,) if model else ()
        until = int(until) if until else None
        is_new = await store.grant(grant(pack_id, int(amount), now, until, models))
        return "granted" if is_new else "exists"
    if verb == "admit":
        request_id, amount, floor, tokens, weight, model, worker = ADMIT.fullmatch(rest).groups()
        wanted = need(int(amount), int(weight), int(tokens), int(floor))
        hold = await store.admit(
            admission(request_id, wanted, now, model=model or MODEL, worker_id=worker or "w")
        )
        if isinstance(hold, Refusal):
            return hold.name.lower()
        legs = " ".join(f"{leg.pack_id}:{leg.amount}" for leg in hold.legs) or "nothing"
        return f"held {legs} output {hold.output_tokens} left {hold.available}"
    if verb == "settle":
        settled = await store.settle(settlement(words[0], int(words[1]), now))
        overrun = f" overrun {settled.overrun}" if settled.overrun else ""
        return f"{'exists' if settled.exists else 'charged'} {settled.amount}{overrun}"
    if verb == "alive":
        pairs = zip(words[1::2], words[2::2], strict=True)
        points = [checkpoint(request_id, int(charge)) for request_id, charge in pairs]
        await store.checkpoint(words[0], points, Millis(now))
        return "noted"
    assert command == "sweep", command
    return f"recovered {await store.sweep(Millis(now))}"


async def balances(store: SqliteStore, pack_id: str) -> str:
    (pack,) = [pack for pack in await store.packs(ENV) if pack.pack_id == pack_id]
    return f"{pack.available} {pack.held} {pack.spent} {pack.expired}"


async def check_table(table: str, name: str, database: Path) -> None:
    store = SqliteStore(database)
    await store.create_environment(ENV, "Acme", Millis(0))
    for number, line in enumerate(table.splitlines(), start=1):
        cells = line.split("#")[0].strip()
        if not cells:
            continue
        moment, command, expected = (re.sub(r" +", " ", cell.strip()) for cell in cells.split("|"))
        try:
            got = await (run(store, command, int(moment)) if moment else balances(store, command))
        except (GrantConflictError, SettlementConflictError) as error:
            got = "conflict " + str(error).split()[-1]
        except UnknownHoldError:
            got = "unknown"
        assert got == expected, f"{name}:{number}: {command}"
    await store.close("w")
    with audit_rows(database) as rows:
        assert audit(rows).differences == []


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.stem)
def test_table(table: Path, tmp_path: Path) -> None:
    asyncio.run(check_table(table.read_text("utf-8"), table.name, tmp_path / "ledger.db"))


def test_there_are_tables() -> None:
    assert TABLES
