"""The real command with raw upstreams behind it, and what its books and its process say."""

import asyncio
import contextlib
import json
import os
import socket
import sqlite3
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tests.chaos.clients import PATHS, ask, prompt
from tests.e2e.gateway import Gateway
from tests.fakes.chat_upstream import ChatUpstream
from tests.fakes.http_server import EVENT_TYPE, Request
from tests.fakes.messages_upstream import MessagesUpstream
from tests.fakes.script import Script

from tollbridge.config import parse_config
from tollbridge.ledger.pricing import price_book
from tollbridge.usage import TokenUsage

PROTOCOLS = ("messages", "chat")
"""Each model is named like its upstream, and its upstream like its protocol."""
HELLO = "Hello"
"""What is asked to see whether it still serves."""
GRANT = "500M"
HEADERS = {"anthropic-version": "2023-06-01"}
PATIENCE_S = 20.0
STORY_S = 90.0
RECOVERED_S = 40.0
"""Ample for the sweeper to find the holds of a worker that died."""

Handle = Callable[[Request, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bool | None]]
"""Answers one request on a raw connection, or does not; True: the connection is kept."""


class Record(NamedTuple):
    """What an exchange was charged."""

    model: str
    usage: TokenUsage
    amount: int
    provenance: str
    outcome: str


@dataclass
class Rig:
    """A running gateway and its hidden sides."""

    gateway: Gateway

    def workers(self) -> list[int]:
        """Their process ids."""
        assert self.gateway.process is not None
        pid = self.gateway.process.pid
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def rss_bytes(self) -> int:
        """Resident memory of the first worker."""
        pages = int(Path(f"/proc/{self.workers()[0]}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def peak_bytes(self) -> int:
        """The most that the first worker has ever had."""
        status = Path(f"/proc/{self.workers()[0]}/status").read_text()
        return 1024 * int(status.partition("VmHWM:")[2].split()[0])

    def open_files(self) -> list[int]:
        """The descriptors of the first worker."""
        return [int(path.name) for path in Path(f"/proc/{self.workers()[0]}/fd").iterdir()]

    def descriptors(self) -> int:
        """How many the first worker has open."""
        return len(self.open_files())

    def records(self) -> Iterator[tuple[str, Record]]:
        """With their request ids."""
        query = (
            "SELECT request_id, model, input, cache_read, cache_write, output, reasoning, amount,"
            " provenance, outcome FROM usage_records"
        )
        with contextlib.closing(sqlite3.connect(self.gateway.data / "tollbridge.sqlite3")) as file:
            for row in file.execute(query):
                yield row[0], Record(row[1], TokenUsage(*row[2:7]), *row[7:])

    async def audited(self, within_s: float = RECOVERED_S) -> dict[str, Record]:
        """The records, once `balanced`."""
        await self.balanced(within_s)
        return dict(self.records())

    async def balanced(self, within_s: float = RECOVERED_S) -> int:
        """How many records there are, once no hold is open; the auditor must find no difference,
        and each amount must be what the price book says of its usage. Keeps none of them."""
        deadline = time.monotonic() + within_s
        while (audit := await self.run("ledger", "audit"))["open_holds"]:
            assert time.monotonic() < deadline, f"holds stay open: {audit['open_holds'][:5]}"
            await asyncio.sleep(0.3)
        assert audit["differences"] == [], audit["differences"][:5]
        assert self.gateway.config is not None
        config = parse_config(self.gateway.config.read_text(), os.environ)
        books = {name: price_book(model.price) for name, model in config.models.items()}
        count = 0
        for request_id, record in self.records():
            assert record.amount == books[record.model].price(record.usage), (request_id, record)
            count += 1
        return count

    async def run(self, *arguments: str) -> Any:
        """One command of the gateway's, off the loop."""
        return await asyncio.to_thread(self.gateway.run, *arguments)

    async def serves(self) -> None:
        """Both protocols, both upstreams: it answers."""
        for protocol in PROTOCOLS:
            for model in PROTOCOLS:
                seen = await ask(self.gateway, protocol, prompt(HELLO, model))
                assert seen.ending == "whole", seen


def live(story: Coroutine[object, object, None], within_s: float = STORY_S) -> None:
    """Run a test's story, which must come to an end."""

    async def bounded() -> None:
        async with asyncio.timeout(within_s):
            await story

    asyncio.run(bounded())


async def until(happened: Callable[[], object], what: str, within_s: float = PATIENCE_S) -> None:
    """Return once it has happened."""
    deadline = time.monotonic() + within_s
    while not happened():
        assert time.monotonic() < deadline, f"in {within_s} s: {what}"
        await asyncio.sleep(0.02)


def reset(writer: asyncio.StreamWriter) -> None:
    """Break a connection so that the peer sees a reset."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def answer_bytes(
    protocol: str, request: Request, script: Script | None = None
) -> tuple[bytes, list[bytes]]:
    """A faithful answer: its head, and its body in framed pieces."""
    fake = {"messages": MessagesUpstream, "chat": ChatUpstream}[protocol](script or Script())
    reply = fake(request)
    if reply.content_type != EVENT_TYPE:
        return reply.head, [reply.pieces[0]]
    framed = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in reply.pieces]
    return reply.head, [*framed, b"0\r\n\r\n"]


def canned(protocol: str, text: str, *, stream: bool = True) -> tuple[bytes, list[bytes]]:
    """A faithful answer with this text, whatever was asked."""
    body = prompt(HELLO, protocol, stream=stream)
    if protocol == "chat" and stream:
        body["stream_options"] = {"include_usage": True}
    request = Request("POST", PATHS[protocol], HEADERS, json.dumps(body).encode())
    head, pieces = answer_bytes(protocol, request, Script(text=text))
    assert head.startswith(b"HTTP/1.1 200 "), (head, pieces)
    return head, pieces


async def read_head(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str]]:
    """Method, path and headers of a request; its body is left unread."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    start, *lines = head.strip().split("\r\n")
    method, path, _ = start.split(" ")
    pairs = (line.partition(":") for line in lines)
    return method, path, {name.lower(): value.strip() for name, _, value in pairs}


@contextlib.asynccontextmanager
async def rig_running(
    folder: Path,
    handle: Mapping[str, Handle],
    *options: str,
    upstream: str = "",
    server: str = "",
    models: str = "",
    read_body: bool = True,
    gateway: Callable[[Path, Path], Gateway] = Gateway,
    data: Path | None = None,
) -> AsyncIterator[Rig]:
    """Upstreams in this loop, by protocol, and a gateway that must end well. `HELLO` is always
    answered. `upstream` and `server` are lines of those sections of its file, `models` sections."""
    servers: list[asyncio.Server] = []
    parts = [f"[server]\n{server}"]
    tasks: set[asyncio.Task[object]] = set()
    for protocol in PROTOCOLS:

        async def serve(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, protocol: str = protocol
        ) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                    await _serve(protocol, handle[protocol], reader, writer, read_body)
            finally:
                tasks.discard(task)
                writer.close()

        listening = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=4096)
        servers.append(listening)
        port = listening.sockets[0].getsockname()[1]
        base_url = f"http://127.0.0.1:{port}" + ("/v1" if protocol == "chat" else "")
        parts.append(
            f'[upstreams.{protocol}]\nbase_url = "{base_url}"\nprotocol = "{protocol}"\n{upstream}\n'
            f'[models.{protocol}]\ntargets = [{{ upstream = "{protocol}" }}]\non_by_default = true\n'
        )
    config = folder / "tollbridge.toml"
    config.write_text("\n".join([*parts, models]))
    rig = Rig(gateway(data or folder / "data", config))
    try:
        await asyncio.to_thread(rig.gateway.start, *options)
        await rig.run("env", "limit", rig.gateway.environment, "--concurrency", "0")
        await rig.run("pack", "grant", GRANT, "--env", rig.gateway.environment)
        yield rig
        if rig.gateway.process is not None:
            await asyncio.to_thread(rig.gateway.stop)
        assert "bug in" not in rig.gateway.log_tail, rig.gateway.log_tail
    finally:
        if rig.gateway.process is not None:
            rig.gateway.kill()
        for listening in servers:
            listening.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _serve(
    protocol: str,
    handle: Handle,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    read_body: bool,
) -> None:
    """Requests on one connection, one after another."""
    while True:
        method, path, headers = await read_head(reader)
        size = int(headers.get("content-length", "0"))
        said = HELLO if size < 1_000 else ""
        body = await reader.readexactly(size) if read_body or said else b""
        request = Request(method, path, headers, body)
        if f'"{HELLO}"'.encode() not in body:
            if not await handle(request, reader, writer):
                return
            continue
        head, pieces = answer_bytes(protocol, request)
        writer.write(head + b"".join(pieces))
