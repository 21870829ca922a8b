"""A TCP proxy that breaks a connection at one exact message of its client.

Messages are counted over all connections, each time the client has sent something and the server's
turn comes. `lost` means that the server never sees the message, otherwise it answers and the answer
is lost: what it was told to commit is committed.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit


class CuttingProxy:
    """Stands between a store and its server."""

    def __init__(self, dsn: str) -> None:
        self._parts = urlsplit(dsn)
        self._cut_at = 0
        self._lost = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.messages = 0
        self.port = 0

    @property
    def dsn(self) -> str:
        """The address that leads through it."""
        user = self._parts.netloc.rpartition("@")[0]
        return urlunsplit(self._parts._replace(netloc=f"{user}@127.0.0.1:{self.port}"))

    def cut(self, message: int, *, lost: bool) -> None:
        """Break the connection at this many messages from now on; 1 is the next."""
        self.messages = 0
        self._cut_at = message
        self._lost = lost

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self._parts.port is not None
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._parts.port)
        back = asyncio.ensure_future(self._copy_back(up_reader, writer))
        try:
            while data := await reader.read(65536):
                self.messages += 1
                is_last = self.messages == self._cut_at
                if is_last and self._lost:
                    return
                if is_last:
                    back.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await back
                up_writer.write(data)
                if is_last:
                    await up_reader.read(65536)
                    return
        except ConnectionError:
            pass
        finally:
            back.cancel()
            for end in (writer, up_writer):
                end.close()
                with contextlib.suppress(ConnectionError):
                    await end.wait_closed()

    async def _copy_back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()


@contextlib.asynccontextmanager
async def cutting_proxy(dsn: str) -> AsyncIterator[CuttingProxy]:
    """A proxy that listens."""
    proxy = CuttingProxy(dsn)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
