"""The processes of a run: started, measured through /proc, and ended."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
ROOT = Path(__file__).resolve().parents[2]
SERVED = os.environ.get("PYTHONPATH") or str(ROOT / "src")
"""Where the gateway is: its compiled modules, if `make bench` made them, or its sources."""
START_TIMEOUT_S = 60


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int(_stat(int(entry.name))[1])
    found = [pid]
    for parent in found:
        found += [child for child, of in parents.items() if of == parent]
    return found


def cpu_s(pids: list[int]) -> float:
    """User and system time of the processes so far."""
    ticks = 0
    for pid in pids:
        try:
            fields = _stat(pid)
        except OSError as error:
            raise RuntimeError(f"process {pid} ended during the measurement") from error
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS_PER_S


def pss_kb(pids: list[int]) -> int:
    """Memory of the processes: what they share counts once."""
    total = 0
    for pid in pids:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += int(rollup.partition("\nPss:")[2].split()[0])
    return total


def _stat(pid: int) -> list[str]:
    # The name in the second field may hold spaces; it ends with the last parenthesis.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


@contextlib.contextmanager
def process(
    command: list[str], *, environ: dict[str, str] | None = None, log: Path, says: bool = True
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a group of its own; ended with the block.

    One that `says` where it listens is heard for one line; all else goes to the log.
    """
    with log.open("wb") as errors:
        started = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": SERVED, **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if says else errors,
            stderr=errors,
            start_new_session=True,
        )
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait(10)
        if started.stdout is not None:
            started.stdout.close()


def first_line(started: subprocess.Popen[bytes], log: Path) -> dict[str, str]:
    """The JSON object a process prints when it listens."""
    assert started.stdout is not None
    line = started.stdout.readline()
    if not line:
        raise RuntimeError(f"{started.args!r} ended at once:\n{log.read_text()[-3000:]}")
    said: dict[str, str] = json.loads(line)
    return said


@contextlib.contextmanager
def fake_upstream(folder: Path) -> Iterator[str]:
    """The fake upstream in a process of its own; yields its address."""
    log = folder / "upstream.log"
    command = [sys.executable, "-m", "bench.gateway.upstream"]
    with process(command, log=log) as started:
        yield first_line(started, log)["root_url"]


def behind_ms(root_url: str) -> int:
    """How late the fake upstream was at most since it was last asked."""
    with urllib.request.urlopen(f"{root_url}/behind", timeout=10) as answer:
        said: int = json.load(answer)["behind_ms"]
        return said


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_listening(port: int, started: subprocess.Popen[bytes], log: Path) -> None:
    """Return when something accepts connections on the port.

    Raises:
        RuntimeError: the process ended first, or takes too long.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if started.poll() is not None:
            raise RuntimeError(f"{started.args!r} ended at once:\n{log.read_text()[-3000:]}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"nothing listens on port {port}:\n{log.read_text()[-3000:]}")
        time.sleep(0.005)
