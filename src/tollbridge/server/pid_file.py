"""How a command finds the gateways of a data folder, and learns what became of a reload.

Each supervising process has a file named after its process id and holds a lock on it, which ends
with the process however that comes: an id that somebody else has got meanwhile is never signalled.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

FOLDER = "running"


class ReloadReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one reload. Names settings and reasons, and no values."""

    number: int = 0
    """Counts the reloads of this process."""
    refused: str = ""
    """What is wrong with the file, and the remedy; empty: it is good."""
    workers: dict[str, str] = {}
    """By process id; an empty text means that the new settings are in force."""
    needs_restart: tuple[str, ...] = ()
    """Settings that are changed in the file and take effect when the gateway is started again."""

    @property
    def reasons(self) -> list[str]:
        """Why the file is not in force in every worker; none: it is."""
        if self.refused:
            return [self.refused]
        return [f"worker {pid} {said}" for pid, said in self.workers.items() if said]


class PidFile:
    """Of the running process. Its lock is this process's alone, not its children's."""

    def __init__(self, data: Path) -> None:
        """Make it.

        Raises:
            OSError: the data folder cannot be written to.
        """
        folder = data / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / str(os.getpid())
        self._number = 0
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.report(ReloadReport())

    def report(self, report: ReloadReport) -> None:
        """Leave the report for the command that asked. A full disk is no reason to end."""
        line = msgspec.json.encode(msgspec.structs.replace(report, number=self._number)) + b"\n"
        self._number += 1
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, line, 0)

    def remove(self) -> None:
        """The gateway has ended."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


class Running(NamedTuple):
    """A gateway that serves a data folder."""

    pid: int
    path: Path

    def report(self) -> ReloadReport | None:
        """Of its last reload; None: it is being written, or the gateway has ended."""
        try:
            line = self.path.read_bytes()
        except FileNotFoundError:
            return None
        return msgspec.json.decode(line, type=ReloadReport) if line.endswith(b"\n") else None


def running(data: Path) -> Iterator[Running]:
    """The gateways of a data folder. Files of those that were killed are removed."""
    folder = data / FOLDER
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        with path.open("r+b") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield Running(int(path.name), path)
            else:
                path.unlink(missing_ok=True)
