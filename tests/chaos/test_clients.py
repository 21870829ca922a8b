"""Clients that vanish all at once, and clients that fall silent without a word."""

import asyncio
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.chaos.clients import Talk, prompt
from tests.chaos.rig import PROTOCOLS, Handle, canned, live, rig_running, until
from tests.fakes.http_server import Request

from tollbridge.server.process import raise_descriptors
from tollbridge.units import HEAD_S

VANISHED = 1_000
AT_ONCE = 100
"""Connections that are opened at a time."""
DESCRIPTORS = 3 * VANISHED
"""This process is the clients and the upstream."""
SLACK = 16
"""Connections to upstreams that are kept for the next request, and files."""
MUTE = 50

pytestmark = pytest.mark.slow


class Endless:
    """Begins an answer and goes on only when the other side ends."""

    def __init__(self) -> None:
        self.under_way = 0

    def handle(self, protocol: str) -> Handle:
        head, pieces = canned(protocol, "one two three")
        begun = head + b"".join(pieces[:-3])

        async def handle(
            _: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            writer.write(begun)
            self.under_way += 1
            try:
                await reader.read()
            finally:
                self.under_way -= 1

        return handle


def test_a_thousand_clients_vanish_together(tmp_path: Path) -> None:
    if raise_descriptors() < DESCRIPTORS:
        pytest.skip(f"LEFT OUT: {DESCRIPTORS} file descriptors are needed (ulimit -Hn)")
    live(_vanish(tmp_path))


async def _vanish(folder: Path) -> None:
    endless = Endless()
    handles = {protocol: endless.handle(protocol) for protocol in PROTOCOLS}
    async with rig_running(folder, handles, upstream=f"connections_max = {VANISHED}") as rig:
        await rig.serves()
        workers, before = rig.workers(), rig.descriptors()
        talks: list[Talk] = []

        async def begin(number: int) -> None:
            client, model = PROTOCOLS[number % 2], PROTOCOLS[number // 2 % 2]
            talk = await Talk(rig.gateway, client, prompt("Go on", model)).open()
            await talk.until(b"one")
            talks.append(talk)

        for start in range(0, VANISHED, AT_ONCE):
            await asyncio.gather(*(begin(n) for n in range(start, start + AT_ONCE)))
        assert endless.under_way == VANISHED
        assert not any(talk.answers.whole for talk in talks), "an answer ended too early"
        vanished_at = time.monotonic()
        for talk in talks:
            talk.vanish()
        await until(lambda: endless.under_way == 0, "all upstreams are cancelled")
        print(f"{VANISHED} upstreams cancelled in {time.monotonic() - vanished_at:.2f} s")
        records = await rig.audited()
        await rig.serves()
        await until(lambda: rig.descriptors() <= before + SLACK, "descriptors are given back")
        assert rig.workers() == workers
    gone = [record for record in records.values() if record.outcome == "client_gone"]
    assert len(gone) == VANISHED
    assert {record.provenance for record in gone} == {"counted"}
    assert min(record.usage.output for record in gone) > 0


def test_clients_that_fall_silent_cost_the_others_nothing(tmp_path: Path) -> None:
    live(_silence(tmp_path))


async def _silence(folder: Path) -> None:
    """Some send half a head, some half a body, some nothing at all. Who is late with a head is told
    so; `tests/contract/test_hostile_clients.py` waits for the other deadlines, shortened."""
    endless = Endless()
    handles = {protocol: endless.handle(protocol) for protocol in PROTOCOLS}
    async with rig_running(folder, handles) as rig:
        await rig.serves()
        before = rig.descriptors()
        whole = Talk(rig.gateway, "messages", prompt("Go on", "chat")).request
        port = urlsplit(rig.gateway.root_url).port
        mute = []
        for size in (0, 40, len(whole) - 20):
            for _ in range(MUTE):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(whole[:size])
                mute.append((size, reader, writer))
        await until(lambda: rig.descriptors() >= before + 3 * MUTE, "all are connected")
        started = time.monotonic()
        await rig.serves()
        assert time.monotonic() - started < HEAD_S / 2
        late = [reader.read() for size, reader, _ in mute if size == 40]
        for told in await asyncio.wait_for(asyncio.gather(*late), 2 * HEAD_S):
            assert told.startswith(b"HTTP/1.1 408 "), told[:200]
        for _, _, writer in mute:
            writer.transport.abort()
        await until(lambda: rig.descriptors() <= before + SLACK, "descriptors are given back")
        await rig.serves()
        records = await rig.audited()
    assert {record.outcome for record in records.values()} == {"finished"}
