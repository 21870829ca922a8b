"""A forward proxy such as companies have: tunnels (CONNECT) and whole URLs, with or without a
password. The names of servers are looked up on its side, in `names`."""

import asyncio
import contextlib
from collections.abc import Mapping
from urllib.parse import urlsplit

from tests.unit.upstream.loopback import read_request

REFUSED = (
    b"HTTP/1.1 407 Proxy Authentication Required\r\n"
    b'proxy-authenticate: Basic realm="proxy"\r\ncontent-length: 6\r\n\r\nsecret'
)


class ForwardProxy:
    """`handle` serves one client's connection."""

    def __init__(self, names: Mapping[str, int], *, authorization: str = "") -> None:
        self.heads: list[str] = []
        """Of all requests to the proxy itself."""
        self._names = names
        """Ports of this machine, by `host:port`."""
        self._authorization = authorization

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not reader.at_eof():
            head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
            self.heads.append(head)
            wanted = f"\r\nproxy-authorization: {self._authorization}\r\n"
            method, target, _ = head.split(" ", 2)
            if self._authorization and wanted not in head:
                writer.write(REFUSED)
                return
            if method == "CONNECT":
                await self._tunnel(target, reader, writer)
                return
            await self._forward(head, target, reader, writer)

    async def _tunnel(
        self, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if target not in self._names:
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\nvia: 1.1 proxy\r\n\r\n")
        await join(reader, writer, self._names[target])

    async def _forward(
        self, head: str, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        parts = urlsplit(target)
        lines = [
            line
            for line in head.replace(target, parts.path or "/", 1).split("\r\n")
            if not line.startswith("proxy-")
        ]
        length = next(
            int(line.partition(":")[2]) for line in lines if line.startswith("content-length:")
        )
        port = self._names[f"{parts.hostname}:{parts.port or 80}"]
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        far_writer.write("\r\n".join(lines).encode() + await reader.readexactly(length))
        answer, body = await read_request(far_reader)
        writer.write(answer.encode() + body)
        far_writer.close()
        await far_writer.wait_closed()


async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Carry bytes between a client and this port of the machine until one of them ends."""
    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
    both = [
        asyncio.create_task(_pump(reader, far_writer)),
        asyncio.create_task(_pump(far_reader, writer)),
    ]
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pump in both:
            pump.cancel()
        await asyncio.gather(*both, return_exceptions=True)
        far_writer.close()
        with contextlib.suppress(ConnectionError):
            await far_writer.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
