"""A gateway's server on a real socket, and raw clients of it."""

import asyncio
import contextlib
import dataclasses
import json
import secrets
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import uvloop
from tests.fakes.exchange_parts import ScriptedReply, Step
from tests.fakes.wire_client import Answer, AnswerStream
from tests.fakes.world import KEY, World, answer, play

from tollbridge.server.application import Application
from tollbridge.server.connection import Connection
from tollbridge.server.site import Patience, Site
from tollbridge.server.supervisor import open_sockets

BODY_BYTES_MAX = 100_000
QUICK = Patience(head_s=0.1, body_s=0.1, idle_s=0.1, stalled_s=0.2, discard_s=0.3)
ASK = {"model": "single", "max_tokens": 50, "messages": [{"role": "user", "content": "Hello"}]}
HEALTH = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
STREAM = json.dumps({**ASK, "stream": True}).encode()


def post(body: bytes = STREAM, *lines: str, length: int | None = None) -> bytes:
    """A request of messages with a key; `length` lies about the body's."""
    declared = len(body) if length is None else length
    head = ["POST /v1/messages HTTP/1.1", "host: x", f"authorization: Bearer {KEY}"]
    head += [f"content-length: {declared}", *lines, "", ""]
    return "\r\n".join(head).encode() + body


def chunked(*pieces: bytes) -> bytes:
    """The same with what stands in for chunks."""
    head = f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
    return head.encode() + b"transfer-encoding: chunked\r\n\r\n" + b"".join(pieces)


class Peer:
    """A raw client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.answers = AnswerStream()
        self._reader = reader
        self._writer = writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def sent(self, data: bytes) -> None:
        """Send all of it before anything else is done."""
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self, number: int = 1) -> Answer:
        """The answer of this number, counted from one."""
        while len(self.answers.whole) < number:
            await self._receive()
        return self.answers.whole[number - 1]

    async def began(self, piece: bytes) -> None:
        """Until this is part of the answer under way."""
        while piece not in self.answers.body:
            await self._receive()

    async def closed(self) -> None:
        """Until the server has closed, in the middle of nothing."""
        while data := await self._reader.read(65536):
            self.answers.feed(data)
        self.answers.close()

    async def refused(self, status: int, code: str) -> Answer:
        """The only answer is a refusal that every SDK can read, and then the server closes."""
        answer = await self.answer()
        self.half_close()
        await self.closed()
        assert self.answers.whole == [answer]
        assert (answer.status, answer.json()["code"]) == (status, code), answer
        assert answer.headers["connection"] == "close"
        return answer

    def half_close(self) -> None:
        self._writer.write_eof()

    def leave(self) -> None:
        self._writer.close()

    def reset(self) -> None:
        """Leave as a machine does that lost its power."""
        linger = struct.pack("ii", 1, 0)
        self._writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, linger
        )
        self._writer.transport.abort()

    async def _receive(self) -> None:
        data = await self._reader.read(65536)
        assert data, ("closed too early", self.answers.raw)
        self.answers.feed(data)


class Edge:
    """A gateway's server on the loopback."""

    def __init__(self, world: World, site: Site, port: int) -> None:
        self.world = world
        self.site = site
        self.port = port

    @contextlib.asynccontextmanager
    async def peer(self) -> AsyncIterator[Peer]:
        peer = Peer(*await asyncio.open_connection("127.0.0.1", self.port))
        try:
            yield peer
        finally:
            peer.leave()

    def answers(self, *steps: Step) -> ScriptedReply:
        """What the model says next."""
        reply = ScriptedReply(steps) if steps else answer("Hi")
        self.world.servers["one"].answers.append(reply)
        return reply

    async def serves(self) -> None:
        """A request of somebody else is answered."""
        async with self.peer() as peer:
            peer.send(HEALTH)
            assert (await peer.answer()).json() == {"status": "ok"}

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not holds():  # noqa: ASYNC110 - a test polls
                await asyncio.sleep(0.001)


Scenario = Callable[[Edge], Awaitable[None]]


def hostile(tmp_path: Path, scenario: Scenario, patience: Patience = Patience()) -> None:  # noqa: B008 - a tuple does not change
    """Run against a whole gateway whose model server follows a script."""

    async def on_loopback(world: World) -> None:
        gateway = dataclasses.replace(world.gateway, entropy=secrets.token_bytes)
        serve = Application(gateway).serve
        site = Site(serve, gateway.clock, BODY_BYTES_MAX, patience=patience, tick_s=0.02)
        (listening,) = open_sockets("127.0.0.1", 0, 1)
        port = listening.getsockname()[1]
        await site.listen(listening, lambda: Connection(site))
        edge = Edge(world, site, port)
        try:
            await scenario(edge)
            await edge.serves()
            assert not world.observer.troubles
        except BaseException:
            await world.store.close("worker-1")  # its thread would keep a failed test from ending
            raise
        site.refuse()
        await edge.until(lambda: not site.connections)
        await site.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(play(tmp_path, on_loopback))
