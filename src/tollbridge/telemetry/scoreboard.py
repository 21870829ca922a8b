"""The figures of all workers, added up in a folder.

Workers share one port, so that a scrape reaches any of them. Each leaves its figures in a file,
`<worker>.json`, every few seconds and before it answers a scrape; whoever is asked adds up all
files, so that no figure ever goes back. A worker holds a lock on `<worker>.lock` as long as it
lives. What dead workers left is added to `ended.json` when the next worker starts: figures outlive
workers, and restarts. A worker that is killed takes what it counted since its last file with it.
"""

import asyncio
import contextlib
import fcntl
from collections import Counter
from collections.abc import Iterator, Set
from pathlib import Path
from typing import BinaryIO

import msgspec

from tollbridge.app.ports import Observer
from tollbridge.telemetry.exposition import CONTENT_TYPE, render
from tollbridge.telemetry.meter import Meter

ENDED = "ended.json"
SUFFIX = ".json"
LOCK_SUFFIX = ".lock"
DRAFT_SUFFIX = ".draft"


class _Sheet(msgspec.Struct):
    """What a file holds."""

    rows: list[tuple[tuple[str, ...], int]] = []
    open: int = 0
    """Exchanges under way when it was written."""
    tasks: int = 0
    """Of the event loop, at that time."""
    added: list[str] = []
    """Files whose rows are in this one already, should they still be there."""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Sheet)


class Scoreboard:
    """Implements `app.ports.Scoreboard`; the meter is this worker's own."""

    content_type = CONTENT_TYPE

    def __init__(self, folder: Path, worker_id: str, meter: Meter, observer: Observer) -> None:
        self._folder = folder
        self._worker_id = worker_id
        self._meter = meter
        self._observer = observer
        self._lock: BinaryIO | None = None
        self._turn = asyncio.Lock()
        """Figures are taken and written in the same order."""
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Join: take the lock, and add up what dead workers left."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._alone():
                self._lock = self._path(LOCK_SUFFIX).open("wb")
                fcntl.flock(self._lock, fcntl.LOCK_EX)
                self._bury()
        except OSError as error:
            self._observer.trouble("figures of earlier workers cannot be read", error)

    def learn(self, models: Set[str], upstreams: Set[str]) -> None:
        """See `Meter.learn`."""
        self._meter.learn(models, upstreams)

    def wake(self, under_way: int) -> None:
        """Leave the figures for others, unless that is being done; so many exchanges are open."""
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._publish(under_way))

    async def text(self, under_way: int) -> bytes:
        """The figures of all workers, of which this one has so many exchanges open.

        Raises:
            OSError: the folder cannot be read or written.
        """
        async with self._turn:
            return await asyncio.to_thread(self._total, self._sheet(under_way))

    async def stop(self) -> None:
        """Leave the last figures, and the worker's place."""
        await self._publish(0)
        if self._lock is not None:
            self._lock.close()

    async def _publish(self, under_way: int) -> None:
        try:
            async with self._turn:
                sheet = self._sheet(under_way)
                await asyncio.to_thread(self._write, self._path(SUFFIX), sheet)
        except OSError as error:
            self._observer.trouble("figures cannot be written", error)

    def _sheet(self, under_way: int) -> bytes:
        tasks = len(asyncio.all_tasks())
        return _encoder.encode(_Sheet(list(self._meter.figures.items()), under_way, tasks))

    def _path(self, suffix: str) -> Path:
        return self._folder / f"{self._worker_id}{suffix}"

    @staticmethod
    def _write(path: Path, sheet: bytes) -> None:
        draft = path.with_suffix(DRAFT_SUFFIX)
        draft.write_bytes(sheet)
        draft.replace(path)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else adds up or buries."""
        with (self._folder / "lock").open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _total(self, own: bytes) -> bytes:
        with self._alone():
            self._write(self._path(SUFFIX), own)
            ended = self._read(self._folder / ENDED)
            figures, under_way, tasks = Counter(dict(ended.rows)), 0, 0
            for path in self._others(ended):
                sheet = self._read(path)
                figures.update(dict(sheet.rows))
                if _is_alive(path):
                    under_way += sheet.open
                    tasks += sheet.tasks
        return render(figures, under_way, tasks)

    def _bury(self) -> None:
        ended = self._read(self._folder / ENDED)
        figures = Counter(dict(ended.rows))
        dead = [path for path in self._others(ended) if not _is_alive(path)]
        for path in dead:
            figures.update(dict(self._read(path).rows))
        # Should this process die before the files are gone, their rows must not count twice.
        added = [path.name for path in dead]
        sheet = _encoder.encode(_Sheet(list(figures.items()), added=added))
        self._write(self._folder / ENDED, sheet)
        for name in (*added, *ended.added):
            (self._folder / name).unlink(missing_ok=True)
        for lock in self._folder.glob(f"*{LOCK_SUFFIX}"):
            if not _is_alive(lock):
                lock.with_suffix(DRAFT_SUFFIX).unlink(missing_ok=True)
                lock.unlink(missing_ok=True)

    def _others(self, ended: _Sheet) -> list[Path]:
        """The files of workers, this one's too, that are not yet in `ended`."""
        left_out = {ENDED, *ended.added}
        return [path for path in self._folder.glob(f"*{SUFFIX}") if path.name not in left_out]

    def _read(self, path: Path) -> _Sheet:
        try:
            return _decoder.decode(path.read_bytes())
        except FileNotFoundError:
            return _Sheet()
        except msgspec.DecodeError as error:
            self._observer.trouble(f"figures in {path.name} cannot be read", error)
            return _Sheet()


def _is_alive(path: Path) -> bool:
    """Whether the worker of a file holds its lock."""
    try:
        with path.with_suffix(LOCK_SUFFIX).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
