import asyncio
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.fakes.exchange_parts import RecordingObserver

from tollbridge.telemetry.meter import Meter
from tollbridge.telemetry.scoreboard import ENDED, Scoreboard

ROW = ("refusals", "chat", "INTERNAL")


class Worker:
    """One worker's side of the folder."""

    def __init__(self, folder: Path, name: str) -> None:
        meter = Meter(set(), set())
        self.figures = meter.figures
        self.observer = RecordingObserver()
        self.board = Scoreboard(folder, name, meter, self.observer)
        self.board.open()

    def die(self) -> None:
        """As a process that is killed: the lock goes, and nothing is written."""
        assert self.board._lock is not None
        self.board._lock.close()

    async def publish(self, under_way: int = 0) -> None:
        self.board.wake(under_way)
        assert self.board._task is not None
        await self.board._task

    async def read(self, under_way: int = 0) -> tuple[float, float]:
        """Refusals and open requests, as whoever asks this worker sees them."""
        text = (await self.board.text(under_way)).decode()
        values = {s.name: s.value for f in text_string_to_metric_families(text) for s in f.samples}
        return values.get("tollbridge_refusals_total", 0), values["tollbridge_open_requests"]


@pytest.fixture
def enlist(tmp_path: Path) -> Iterator[Callable[[str], Worker]]:
    """Makes workers, and ends those that are left."""
    workers: list[Worker] = []

    def new(name: str) -> Worker:
        workers.append(Worker(tmp_path, name))
        return workers[-1]

    yield new
    for worker in workers:
        worker.die()


def run_child(folder: Path, name: str, count: int) -> int:
    """A worker process that counts, publishes, and waits to be killed."""
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        worker = Worker(folder, name)
        worker.figures[ROW] += count
        asyncio.run(worker.publish(3))
        os.write(told, b".")
        signal.pause()
    os.read(ready, 1)
    return pid


Enlist = Callable[[str], Worker]


def test_whoever_is_asked_adds_up_all(tmp_path: Path, enlist: Enlist):
    async def play() -> None:
        one, two = enlist("1-a"), enlist("2-b")
        one.figures[ROW] += 3
        two.figures[ROW] += 4
        await two.publish(2)
        assert await one.read(1) == (7, 3)
        one.figures[ROW] += 1
        assert await one.read() == (8, 2)
        assert await two.read(5) == (8, 5), "it sees what the other one has told already"

    asyncio.run(play())


def test_figures_outlive_workers_and_restarts(tmp_path: Path, enlist: Enlist):
    async def play() -> None:
        one = enlist("1-a")
        one.figures[ROW] += 3
        await one.board.stop()
        two = enlist("2-b")
        assert await two.read() == (3, 0)
        two.figures[ROW] += 1
        await two.board.stop()
        # One died while it wrote for the first time.
        (tmp_path / "9-z.lock").touch()
        (tmp_path / "9-z.draft").touch()
        three = enlist("3-c")
        assert await three.read() == (4, 0)

    asyncio.run(play())
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["3-c.json", "3-c.lock", ENDED, "lock"]


def test_a_killed_worker_keeps_its_figures_but_has_nothing_open(tmp_path: Path, enlist: Enlist):
    one = enlist("1-a")
    pid = run_child(tmp_path, "2-b", 5)
    assert asyncio.run(one.read(1)) == (5, 4)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert asyncio.run(one.read(1)) == (5, 1)
    one.die()
    assert asyncio.run(enlist("3-c").read()) == (5, 0)


def test_a_living_worker_is_not_buried(tmp_path: Path, enlist: Enlist):
    pid = run_child(tmp_path, "2-b", 5)
    try:
        two = enlist("3-c")
        assert (tmp_path / "2-b.json").exists()
        assert asyncio.run(two.read()) == (5, 3)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_rows_count_once_if_the_burial_is_cut_short(
    tmp_path: Path, enlist: Enlist, monkeypatch: pytest.MonkeyPatch
):
    async def play() -> None:
        one = enlist("1-a")
        one.figures[ROW] += 3
        await one.board.stop()

        def cut(_self: Path, missing_ok: bool = False) -> None:
            raise OSError("the disk went away")

        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", cut)
            two = enlist("2-b")
            assert [what for what, _ in two.observer.troubles] == [
                "figures of earlier workers cannot be read"
            ]
        assert (tmp_path / "1-a.json").exists()
        assert await two.read() == (3, 0)
        assert await enlist("3-c").read() == (3, 0)

    asyncio.run(play())


def test_a_file_that_cannot_be_read_is_told_and_left_out(tmp_path: Path, enlist: Enlist):
    (tmp_path / "9-z.json").write_bytes(b'{"rows": [[["x"')
    worker = enlist("1-a")
    assert asyncio.run(worker.read()) == (0, 0)
    assert "9-z.json" in worker.observer.troubles[0][0]


def test_a_disk_that_fails_is_told(tmp_path: Path, enlist: Enlist):
    worker = Worker(tmp_path / "figures", "1-a")
    worker.die()
    for path in (tmp_path / "figures").iterdir():
        path.unlink()
    (tmp_path / "figures").rmdir()
    asyncio.run(worker.publish())
    assert [what for what, _ in worker.observer.troubles] == ["figures cannot be written"]
    with pytest.raises(OSError, match="figures"):
        asyncio.run(worker.read())


def test_a_file_is_whole_at_every_moment(tmp_path: Path, enlist: Enlist):
    worker = enlist("1-a")
    worker.figures[ROW] += 3
    asyncio.run(worker.publish(2))
    sheet = json.loads((tmp_path / "1-a.json").read_text())
    assert sheet == {"rows": [[list(ROW), 3]], "open": 2, "tasks": 2, "added": []}
    assert not list(tmp_path.glob("*.draft"))


def test_tasks_are_those_of_workers_that_live(enlist: Enlist):
    async def tasks(worker: Worker) -> float:
        text = (await worker.board.text(0)).decode()
        samples = [s for f in text_string_to_metric_families(text) for s in f.samples]
        return next(s.value for s in samples if s.name == "tollbridge_tasks")

    async def main() -> None:
        one, two = enlist("one"), enlist("two")
        await two.publish()
        both = await tasks(one)
        waiting = asyncio.ensure_future(asyncio.sleep(60))
        assert await tasks(one) == both + 1
        two.die()
        assert await tasks(one) == both + 1 - 2, "that of `main`, and the one that wrote"
        waiting.cancel()

    asyncio.run(main())
