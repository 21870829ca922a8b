import fcntl
import json
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest
from tests.contract.samples import settlement

from tollbridge.storage.spool import REJECTED, FileSpool

FIRST, SECOND = settlement("r1", 5), settlement("r2", 7)
Spools = Callable[[Path, str], FileSpool]


@pytest.fixture(name="spooled")
def _spooled() -> Iterator[Spools]:
    """Makes spools, and closes them all at the end."""
    spools: list[FileSpool] = []

    def make(folder: Path, worker_id: str) -> FileSpool:
        spools.append(FileSpool(folder, worker_id))
        return spools[-1]

    yield make
    for spool in spools:
        spool.close()


def test_nothing_is_made_before_it_is_needed(tmp_path: Path, spooled: Spools) -> None:
    folder = tmp_path / "spool"
    spool = spooled(folder, "w1")
    assert spool.adopt() == []
    spool.clear()
    spool.close()
    assert not folder.exists()


def test_a_settlement_survives_the_worker(tmp_path: Path, spooled: Spools) -> None:
    spool = spooled(tmp_path / "spool", "w1")
    spool.keep(FIRST)
    spool.keep(SECOND)
    spool.close()
    heir = spooled(tmp_path / "spool", "w2")
    assert heir.adopt() == [FIRST, SECOND]
    heir.clear()
    assert list((tmp_path / "spool").iterdir()) == []


def test_what_a_living_worker_keeps_is_its_own(tmp_path: Path, spooled: Spools) -> None:
    spool, other = spooled(tmp_path, "w1"), spooled(tmp_path, "w2")
    spool.keep(FIRST)
    assert other.adopt() == []
    spool.close()
    third = spooled(tmp_path, "w3")
    assert other.adopt() == [FIRST]
    assert third.adopt() == [], "one heir is enough"
    other.close()
    assert third.adopt() == [FIRST], "an heir that did not finish leaves it"


def test_a_file_that_is_adopted_before_it_is_locked_is_made_again(
    tmp_path: Path, spooled: Spools, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool, other = spooled(tmp_path, "w1"), spooled(tmp_path, "w2")
    lock = fcntl.flock

    def late(file: IO[bytes], operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        assert other.adopt() == []
        assert not (tmp_path / "w1.jsonl").exists(), "its worker would wait for it"
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    spool.keep(FIRST)
    spool.close()
    assert spooled(tmp_path, "w3").adopt() == [FIRST]


def test_clearing_makes_room(tmp_path: Path, spooled: Spools) -> None:
    spool = spooled(tmp_path, "w1")
    spool.keep(FIRST)
    spool.clear()
    spool.keep(SECOND)
    spool.close()
    assert spooled(tmp_path, "w2").adopt() == [SECOND]


def test_an_empty_file_does_not_stay(tmp_path: Path, spooled: Spools) -> None:
    spool = spooled(tmp_path, "w1")
    spool.keep(FIRST)
    spool.clear()
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_a_torn_line_is_set_aside(tmp_path: Path, spooled: Spools) -> None:
    spool = spooled(tmp_path, "w1")
    spool.keep(FIRST)
    spool.close()
    with (tmp_path / "w1.jsonl").open("ab") as file:
        file.write(b'{"request_id":"r9","env')
    assert spooled(tmp_path, "w2").adopt() == [FIRST]
    (line,) = (tmp_path / REJECTED).read_text().splitlines()
    assert json.loads(line)["line"] == '{"request_id":"r9","env'


def test_a_torn_line_that_cannot_be_set_aside_keeps_nobody_from_starting(
    tmp_path: Path, spooled: Spools
) -> None:
    (tmp_path / "w1.jsonl").write_bytes(b'{"request_id":"r9","env')
    (tmp_path / REJECTED).mkdir()
    heir = spooled(tmp_path, "w2")
    assert heir.adopt() == []
    heir.clear()
    assert not (tmp_path / "w1.jsonl").exists()


def test_what_the_ledger_refuses_is_kept_for_the_operator(tmp_path: Path, spooled: Spools) -> None:
    spool = spooled(tmp_path, "w1")
    spool.reject(FIRST, "r1 was never admitted")
    spool.reject(SECOND, "r2 too")
    lines = [json.loads(line) for line in (tmp_path / REJECTED).read_text().splitlines()]
    assert [line["settlement"]["request_id"] for line in lines] == ["r1", "r2"]
    assert lines[0]["reason"] == "r1 was never admitted"
    assert spool.adopt() == [], "nobody takes it over"


def test_it_is_on_the_disk_before_keep_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spooled: Spools
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(os.fstat(number).st_size))
    spooled(tmp_path, "w1").keep(FIRST)
    assert synced[-1] == (tmp_path / "w1.jsonl").stat().st_size > 0


def test_a_full_disk_leaves_no_half_a_line(tmp_path: Path, spooled: Spools) -> None:
    spool = spooled(tmp_path, "w1")
    spool.keep(FIRST)
    (file,) = tmp_path.iterdir()
    size = file.stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            spool.keep(SECOND)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert file.stat().st_size == size
    spool.keep(SECOND)
    spool.close()
    assert spooled(tmp_path, "w2").adopt() == [FIRST, SECOND]
    assert not (tmp_path / REJECTED).exists()
