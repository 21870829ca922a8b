"""The HTTP server around the application: granian, one process per worker."""

from collections.abc import Callable

from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import Server

from tollbridge.server.inbound import Asgi

BACKLOG = 4096
"""Connections that the kernel keeps until a worker takes them."""

CONCURRENT_MAX = 65_536
"""Requests under way in one worker; the bound that matters is memory, not this."""

KILL_AFTER_S = 30
"""A worker that has not stopped by then is killed; its holds are recovered by the others."""


def listen(load: Callable[[], Asgi], *, host: str, port: int, workers: int) -> None:
    """Serve until SIGTERM or SIGINT. `load` is called once in each worker process."""
    server = Server(
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
    server.serve(target_loader=load, wrap_loader=False)
