"""Runs the tables beside this file against the SQLite store.

A line is `moment | command | result`. A line without a moment reads a pack back: its balances are
`available held spent expired`. `#` begins a comment. Commands:

    grant   PACK AMOUNT [until MOMENT] [for MODEL]
    correct ID PACK +AMOUNT|-AMOUNT
    budget  KEY AMOUNT
    admit   REQUEST INPUT + FLOOR..OUTPUT x WEIGHT [model MODEL] [worker WORKER] [key KEY]
            [slots ENVIRONMENT/KEY] [rate REQUESTS/TOKENS] [expects TOKENS]
    settle  REQUEST AMOUNT
    alive   WORKER [REQUEST CHARGE]...      a checkpoint
    sweep
"""

import asyncio
import hashlib
import re
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.contract.samples import (
    ENV,
    MODEL,
    admission,
    checkpoint,
    correction,
    grant,
    key,
    need,
    settlement,
)

from tollbridge.app.ports import (
    CorrectionConflictError,
    CorrectionRefusedError,
    GrantConflictError,
    SettlementConflictError,
    UnknownHoldError,
)
from tollbridge.ledger.audit import audit
from tollbridge.ledger.model import UNLIMITED, Limits, Refusal
from tollbridge.storage.sqlite import SqliteStore, audit_rows
from tollbridge.units import KeyId, Millis

TABLES = sorted(Path(__file__).parent.glob("*.txt"))
ADMIT = re.compile(r"(\S+) (\d+) \+ (\d+)\.\.(\d+) x (\d+)((?: \w+ \S+)*)")
GRANT = re.compile(r"(\S+) (\d+)(?: until (\d+))?(?: for (\S+))?")


async def run(store: SqliteStore, command: str, now: int, owners: dict[str, KeyId]) -> str:
    verb, _, rest = command.partition(" ")
    words = rest.split()
    if verb == "grant":
        pack_id, amount, until, model = GRANT.fullmatch(rest).groups()
        models = (model,) if model else ()
        until = int(until) if until else None
        is_new = await store.grant(grant(pack_id, int(amount), now, until, models))
        return "granted" if is_new else "exists"
    if verb == "admit":
        request_id, amount, floor, tokens, weight, more = ADMIT.fullmatch(rest).groups()
        wanted = need(int(amount), int(weight), int(tokens), int(floor))
        options = dict(zip(more.split()[::2], more.split()[1::2], strict=True))
        members = await admitted_with(store, options)
        hold = await store.admit(admission(request_id, wanted, now, **members))
        owners.setdefault(request_id, members["key_id"])
        if isinstance(hold, Refusal):
            return hold.name.lower()
        legs = " ".join(f"{leg.pack_id}:{leg.amount}" for leg in hold.legs) or "nothing"
        return f"held {legs} output {hold.output_tokens} left {hold.available}"
    if verb == "correct":
        made = await store.correct(correction(words[0], words[1], int(words[2]), now))
        return "corrected" if made else "exists"
    if verb == "budget":
        if not any(known.key_id == f"key_{words[0]}" for known in await store.keys(ENV)):
            info, _ = key(0)
            info = replace(info, key_id=KeyId(f"key_{words[0]}"))
            await store.add_key(info, hashlib.sha256(words[0].encode()).digest())
        assert await store.limit_key(KeyId(f"key_{words[0]}"), UNLIMITED, int(words[1]))
        return "set"
    if verb == "settle":
        key_id = owners.get(words[0], KeyId("key_1"))
        settled = await store.settle(settlement(words[0], int(words[1]), now, key_id=key_id))
        overrun = f" overrun {settled.overrun}" if settled.overrun else ""
        return f"{'exists' if settled.exists else 'charged'} {settled.amount}{overrun}"
    if verb == "alive":
        pairs = zip(words[1::2], words[2::2], strict=True)
        points = [checkpoint(request_id, int(charge)) for request_id, charge in pairs]
        await store.checkpoint(words[0], points, Millis(now))
        return "noted"
    assert command == "sweep", command
    return f"recovered {await store.sweep(Millis(now))}"


async def admitted_with(store: SqliteStore, options: dict[str, str]) -> dict[str, object]:
    """The members of an admission that a table may set."""
    slots, key_slots = map(int, options.get("slots", "0/0").split("/"))
    requests, tokens = map(int, options.get("rate", "0/0").split("/"))
    key_id = "key_" + options.get("key", "1")
    budgets = {known.key_id: known.budget for known in await store.keys(ENV)}
    return {
        "generation": await store.generation(ENV),
        "model": options.get("model", MODEL),
        "worker_id": options.get("worker", "w"),
        "key_id": KeyId(key_id),
        "limits": Limits(slots, requests, tokens),
        "key_limits": Limits(key_slots),
        "key_budgeted": budgets.get(key_id, 0) > 0,
        "input_tokens": int(options.get("expects", "0")),
    }


async def balances(store: SqliteStore, pack_id: str) -> str:
    (pack,) = [pack for pack in await store.packs(ENV) if pack.pack_id == pack_id]
    return f"{pack.available} {pack.held} {pack.spent} {pack.expired}"


async def check_table(table: str, name: str, database: Path) -> None:
    store = SqliteStore(database)
    await store.create_environment(ENV, "Acme", Millis(0))
    owners: dict[str, KeyId] = {}
    for number, line in enumerate(table.splitlines(), start=1):
        cells = line.split("#")[0].strip()
        if not cells:
            continue
        moment, command, expected = (re.sub(r" +", " ", cell.strip()) for cell in cells.split("|"))
        try:
            got = await (
                run(store, command, int(moment), owners) if moment else balances(store, command)
            )
        except CorrectionRefusedError:
            got = "refused"
        except (CorrectionConflictError, GrantConflictError, SettlementConflictError) as error:
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
