"""Settlements that wait for the database, in a local file that outlives the process.

One file per worker, `<worker>.jsonl`, a settlement per line, synced before `keep` returns. It is
locked as long as its worker lives, so that whoever finds an unlocked one may take it over. A line
may be replayed any number of times: a settlement is idempotent. What the ledger does not take is
moved to `rejected.jsonl`, for the operator to look at.
"""

import contextlib
import fcntl
import os
import threading
from io import FileIO
from pathlib import Path
from typing import BinaryIO

import msgspec

from tollbridge.ledger.model import Settlement

SUFFIX = ".jsonl"
REJECTED = "rejected.jsonl"

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Settlement)


class _Rejected(msgspec.Struct):
    reason: str
    settlement: Settlement | None = None
    line: str = ""
    """What could not be read as a settlement."""


class FileSpool:
    """Implements `app.ports.Spool` in a folder, which is made when it is needed."""

    def __init__(self, folder: Path, worker_id: str) -> None:
        self._folder = folder
        self._path = folder / f"{worker_id}{SUFFIX}"
        self._file: FileIO | None = None
        self._adopted: list[tuple[Path, BinaryIO]] = []
        self._lock = threading.Lock()

    def keep(self, settlement: Settlement) -> None:
        """On the disk when it returns; may be called from any thread."""
        with self._lock:
            if self._file is None:
                self._file = self._open()
            file, line = self._file, _encoder.encode(settlement) + b"\n"
            size = os.fstat(file.fileno()).st_size
            try:
                while line:
                    line = line[file.write(line) :]
                os.fsync(file.fileno())
            except OSError:
                os.ftruncate(file.fileno(), size)  # half a line would spoil the next one
                raise

    def adopt(self) -> list[Settlement]:
        """Take over what dead workers left, oldest file first."""
        settlements: list[Settlement] = []
        found = [path for path in self._folder.glob(f"*{SUFFIX}") if path.name != REJECTED]
        for path in sorted(found, key=_age):
            file = _lock(path)
            if file is not None:
                left = [kept for line in file if (kept := self._read(line)) is not None]
                settlements += left
                if left:
                    self._adopted.append((path, file))
                else:  # nobody clears what nothing waits for, and its worker may just have made it
                    path.unlink(missing_ok=True)
                    file.close()
        return settlements

    def clear(self) -> None:
        """Everything that was kept or adopted is on the ledger."""
        with self._lock:
            if self._file is not None:
                self._file.truncate(0)
            for path, file in self._adopted:
                path.unlink(missing_ok=True)
                file.close()
            self._adopted.clear()

    def reject(self, settlement: Settlement, reason: str) -> None:
        """Set one aside that the ledger does not take."""
        self._set_aside(_Rejected(reason, settlement))

    def close(self) -> None:
        """Unlock; an empty file is removed, another is left to the next worker."""
        with self._lock:
            if self._file is not None:
                if not os.fstat(self._file.fileno()).st_size:
                    self._path.unlink(missing_ok=True)
                self._file.close()
                self._file = None
            for _, file in self._adopted:
                file.close()
            self._adopted.clear()

    def _open(self) -> FileIO:
        self._folder.mkdir(parents=True, exist_ok=True)
        while True:
            # Without a buffer: what a full disk did not take must not be tried again by `clear`.
            file = self._path.open("ab", buffering=0)
            fcntl.flock(file, fcntl.LOCK_EX)
            if _is_at(file, self._path):
                break
            file.close()  # a worker that began meanwhile has adopted it, empty, and removed it
        # The name must survive a power cut as the content does.
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return file

    def _read(self, line: bytes) -> Settlement | None:
        try:
            return _decoder.decode(line)
        except msgspec.DecodeError as error:
            # The last line of a worker that died while it wrote: nobody was told that it was kept.
            # So a disk that is still full may lose it, and must not keep this worker from starting.
            with contextlib.suppress(OSError):
                rest = line.decode(errors="replace")
                self._set_aside(_Rejected(f"not readable: {error}", line=rest))
            return None

    def _set_aside(self, rejected: _Rejected) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / REJECTED).open("ab") as file:
            file.write(_encoder.encode(rejected) + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _is_at(file: FileIO, path: Path) -> bool:
    """Whether an open file still has this name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _age(path: Path) -> float:
    with contextlib.suppress(OSError):
        return path.stat().st_mtime
    return 0.0


def _lock(path: Path) -> BinaryIO | None:
    """The file, if nobody holds it; None: its worker lives, or another one has just cleared it."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
