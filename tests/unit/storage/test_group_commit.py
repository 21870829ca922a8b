import asyncio
import sqlite3
from pathlib import Path

import pytest

from tollbridge.app.ports import StoreUnavailableError
from tollbridge.storage import group_commit
from tollbridge.storage.group_commit import COMMANDS_MAX, GroupCommit
from tollbridge.storage.sqlite import connect


class NotesBatch:
    """Writes its rows at the end."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.rows: list[tuple[int]] = []

    def flush(self) -> None:
        self.connection.executemany("INSERT INTO notes VALUES (?)", self.rows)

    def committed(self) -> None:
        """Nobody is told."""


class Notes:
    """A queue over a file whose only table takes distinct, positive numbers."""

    def __init__(self, path: Path) -> None:
        self.connection = connect(path, "NORMAL")
        self.connection.execute("CREATE TABLE notes (n INTEGER PRIMARY KEY CHECK (n > 0))")
        self.batches = 0
        self.group = GroupCommit(self.connection, self.start)

    def start(self, _: bool) -> NotesBatch:
        self.batches += 1
        return NotesBatch(self.connection)

    def add(self, number: int, **options: bool) -> asyncio.Future[int]:
        def command(batch: NotesBatch) -> int:
            if number == 13:
                raise LookupError("unlucky")
            batch.rows.append((number,))
            return number * 10

        return self.group.submit(command, **options)

    def numbers(self) -> list[int]:
        return [n for (n,) in self.connection.execute("SELECT n FROM notes ORDER BY n")]


@pytest.fixture
def notes(tmp_path: Path):
    notes = Notes(tmp_path / "notes.db")
    yield notes
    notes.connection.close()


async def gathered(*futures: asyncio.Future[int]) -> list[int | BaseException]:
    return await asyncio.gather(*futures, return_exceptions=True)


def test_one_tick_is_one_transaction(notes: Notes) -> None:
    async def scenario() -> None:
        assert await gathered(*map(notes.add, range(1, 6))) == [10, 20, 30, 40, 50]
        assert await notes.add(6) == 60

    asyncio.run(scenario())
    assert notes.numbers() == [1, 2, 3, 4, 5, 6]
    assert (notes.batches, notes.group.commits) == (2, 2)


def test_a_transaction_is_bounded(notes: Notes) -> None:
    async def scenario() -> None:
        await gathered(*map(notes.add, range(1, 2 * COMMANDS_MAX + 2)))

    asyncio.run(scenario())
    assert len(notes.numbers()) == 2 * COMMANDS_MAX
    assert notes.batches == 3


def test_a_failing_command_does_not_fail_its_neighbours(notes: Notes) -> None:
    async def scenario() -> list:
        return await gathered(notes.add(12), notes.add(13), notes.add(14))

    first, second, third = asyncio.run(scenario())
    assert (first, third) == (120, 140)
    assert isinstance(second, LookupError)
    assert notes.numbers() == [12, 14]
    assert notes.batches == 1


@pytest.mark.parametrize(("bad", "error"), [(-1, sqlite3.IntegrityError), (2**70, OverflowError)])
def test_a_refused_write_does_not_fail_its_neighbours(
    notes: Notes, bad: int, error: type[Exception]
) -> None:
    async def scenario() -> list:
        return await gathered(notes.add(1), notes.add(bad), notes.add(2), notes.add(2))

    results = asyncio.run(scenario())
    assert results[0] == 10
    assert isinstance(results[1], error)
    assert results[2] == 20
    assert isinstance(results[3], sqlite3.IntegrityError)
    assert notes.numbers() == [1, 2]
    assert not notes.connection.in_transaction


def test_a_command_may_have_a_transaction_of_its_own(notes: Notes) -> None:
    def half(batch: NotesBatch) -> None:
        batch.connection.execute("INSERT INTO notes VALUES (99)")
        raise LookupError("after the write")

    async def scenario() -> list:
        alone = notes.group.submit(half, alone=True)
        return await gathered(notes.add(1), alone, notes.add(2), notes.add(3, alone=True))

    results = asyncio.run(scenario())
    assert isinstance(results[1], LookupError)
    assert notes.numbers() == [1, 2, 3]
    assert notes.batches == 3


def test_only_a_droppable_command_needs_someone_who_waits(notes: Notes) -> None:
    async def scenario() -> None:
        notes.add(1, droppable=True).cancel()
        notes.add(2).cancel()
        await notes.add(3)

    asyncio.run(scenario())
    assert notes.numbers() == [2, 3]


def test_a_lock_is_waited_for_without_blocking_the_loop(notes: Notes, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "notes.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def scenario() -> None:
        waiting = notes.add(1)
        for _ in range(5):
            await asyncio.sleep(0.002)
        later = notes.add(2)
        await asyncio.sleep(0)
        assert not waiting.done()
        other.execute("ROLLBACK")
        assert await gathered(waiting, later) == [10, 20]

    asyncio.run(scenario())
    other.close()
    assert notes.numbers() == [1, 2]
    assert notes.group.commits == 1, "what arrived meanwhile joined"


def test_a_lock_that_lasts_is_told(
    notes: Notes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "GIVE_UP_S", 0.01)
    other = sqlite3.connect(tmp_path / "notes.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def scenario() -> None:
        for error in await gathered(notes.add(1), notes.add(2)):
            assert isinstance(error, StoreUnavailableError)
            assert isinstance(error.__cause__, sqlite3.OperationalError)
        other.execute("ROLLBACK")
        assert await notes.add(3) == 30

    asyncio.run(scenario())
    other.close()
    assert notes.numbers() == [3]


def test_a_reader_that_keeps_the_commit_waiting(
    notes: Notes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a write-ahead log: a file system that has none for it, or a database in memory."""
    monkeypatch.setattr(group_commit, "GIVE_UP_S", 0.05)
    notes.connection.execute("PRAGMA journal_mode = DELETE")
    reader = sqlite3.connect(tmp_path / "notes.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM notes").fetchall()

    async def scenario() -> None:
        first = notes.add(1)
        await asyncio.sleep(0.01)
        for error in await gathered(first, *map(notes.add, range(2, 2 * COMMANDS_MAX))):
            assert type(error) is StoreUnavailableError, "it was rolled back, there is no doubt"
        reader.execute("ROLLBACK")
        assert await notes.add(1) == 10

    asyncio.run(asyncio.wait_for(scenario(), 5))
    reader.close()
    assert notes.numbers() == [1]


def test_a_broken_database_is_away_for_all(notes: Notes) -> None:
    async def scenario() -> list:
        notes.connection.execute("DROP TABLE notes")
        return await gathered(notes.add(1), notes.add(2))

    assert [type(error) for error in asyncio.run(scenario())] == [StoreUnavailableError] * 2
    assert not notes.connection.in_transaction


def test_a_loop_that_ends_with_a_retry_pending_blocks_nobody(notes: Notes, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "notes.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def leave() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(notes.add(1), timeout=0.001)

    async def come_back() -> None:
        assert await notes.add(2) == 20

    asyncio.run(leave())
    other.close()
    asyncio.run(come_back())
    assert notes.numbers() == [1, 2]


class BrokenDisk:
    """Its statements fail as long as it is `broken`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.broken = True

    @property
    def in_transaction(self) -> bool:
        return self.connection.in_transaction

    def execute(self, sql: str) -> sqlite3.Cursor:
        if self.broken:
            raise sqlite3.OperationalError("disk I/O error")
        return self.connection.execute(sql)


def test_a_lasting_command_waits_for_the_database(notes: Notes) -> None:
    disk = BrokenDisk(notes.connection)
    notes.group = GroupCommit(disk, notes.start)

    async def scenario() -> None:
        lasting = notes.add(1, lasting=True)
        assert isinstance((await gathered(notes.add(2)))[0], StoreUnavailableError)
        assert isinstance((await gathered(notes.add(3)))[0], StoreUnavailableError)
        disk.broken = False
        assert await notes.add(4, alone=True) == 40
        assert not lasting.done(), "one that is alone shares with nobody"
        assert await gathered(notes.add(5), lasting) == [50, 10]

    asyncio.run(scenario())
    assert notes.numbers() == [1, 4, 5]


def test_what_could_not_be_rolled_back_is_rolled_back_later(
    notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = BrokenDisk(notes.connection)
    notes.group = GroupCommit(disk, notes.start)
    flush = NotesBatch.flush

    def flush_and_break(batch: NotesBatch) -> None:
        flush(batch)
        disk.broken = True

    async def scenario() -> None:
        disk.broken = False
        monkeypatch.setattr(NotesBatch, "flush", flush_and_break)
        assert isinstance((await gathered(notes.add(1)))[0], StoreUnavailableError)
        assert notes.connection.in_transaction
        monkeypatch.undo()
        assert isinstance((await gathered(notes.add(2)))[0], StoreUnavailableError)
        disk.broken = False
        assert await gathered(notes.add(3), notes.add(4)) == [30, 40]

    asyncio.run(scenario())
    assert notes.numbers() == [3, 4]
