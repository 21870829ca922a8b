"""The HTTP server around the application: granian, one process per worker."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from tollbridge.server.inbound import Asgi

BACKLOG = 4096
"""Connections that the kernel keeps until a worker takes them."""

CONCURRENT_MAX = 65_536
"""Requests under way in one worker; the bound that matters is memory, not this."""

INSIST_S = 0.5
"""How often a worker that has been told to stop is told again."""

KILL_AFTER_S = 30
"""A worker that has not stopped by then is killed; its holds are recovered by the others."""

Ready = Callable[[], None]
"""What a worker calls once it can answer."""


def listen(
    load: Callable[[Ready], Asgi],
    *,
    host: str,
    port: int,
    workers: int,
    announce: Callable[[], None],
) -> None:
    """Serve until SIGTERM or SIGINT.

    `load` is called once in each worker process; `announce` in this one, when all are ready.
    """
    # Workers say that they are ready through a pipe, which only a forked process inherits.
    multiprocessing.set_start_method("fork", force=True)
    readable, writable = os.pipe()
    server = _Server(
        "tollbridge",
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        workers=workers,
        loop=Loops.uvloop,
        http=HTTPModes.auto,
        websockets=False,
        backlog=BACKLOG,
        backpressure=CONCURRENT_MAX,
        http1_settings=HTTP1Settings(header_read_timeout=10_000, pipeline_flush=False),
        log_enabled=True,
        log_level=LogLevels.error,
        respawn_failed_workers=True,
        workers_kill_timeout=KILL_AFTER_S,
    )
    server.announcement = partial(_announce, readable, workers, announce)
    server.serve(target_loader=partial(_load, load, writable), wrap_loader=False)


class _Server(MPServer):
    """Announces, and stops for sure.

    The thread that announces begins after the workers were forked: one that runs while a process
    forks can leave a lock taken for ever in the child.
    """

    announcement: Callable[[], None]

    def startup(self, spawn_target: Any, target_loader: Any) -> None:  # untyped in granian
        super().startup(spawn_target, target_loader)  # type: ignore[no-untyped-call]
        threading.Thread(target=self.announcement, daemon=True).start()

    def _stop_workers(self) -> None:
        threading.Thread(target=_insist, args=(list(self.wrks),), daemon=True).start()
        super()._stop_workers()  # type: ignore[no-untyped-call]


def _insist(workers: Sequence[Any]) -> None:
    """Tell workers to stop until they have: one that is just starting can miss a signal."""
    while alive := [worker for worker in workers if worker.is_alive()]:
        for worker in alive:
            worker.terminate()
        time.sleep(INSIST_S)


def _load(load: Callable[[Ready], Asgi], writable: int) -> Asgi:
    return load(lambda: _say_ready(writable))


def _say_ready(writable: int) -> None:
    os.write(writable, b".")


def _announce(readable: int, workers: int, announce: Callable[[], None]) -> None:
    for _ in range(workers):
        os.read(readable, 1)
    announce()
