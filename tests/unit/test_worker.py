"""A worker lives from start-up to shutdown, and takes new settings in between."""

import asyncio
import dataclasses
import gc
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.contract.samples import settlement
from tests.fakes.exchange_parts import RecordingObserver

from tollbridge import worker as module
from tollbridge.app.ports import StoreUnavailableError
from tollbridge.bootstrap import Settings
from tollbridge.config import Config, parse_config
from tollbridge.server.supervisor import Post, open_sockets
from tollbridge.units import MIB
from tollbridge.worker import Worker, work

TEXT = """
[models.m]
targets = [{upstream = "demo"}]
"""
CONFIG = parse_config(TEXT, {})
SHORT = parse_config("[server]\nbody_bytes_max = 1\n" + TEXT, {})


class Desk:
    """A worker under test, and what it said."""

    def __init__(self, folder: Path) -> None:
        (listening,) = open_sockets("127.0.0.1", 0, 1)
        self.port = listening.getsockname()[1]
        self.newest: Config | Exception = SHORT
        self.answers: asyncio.Queue[str] = asyncio.Queue()
        self._ready = asyncio.Event()
        self.post = Post(
            listening, self._ready.set, asyncio.Event(), asyncio.Event(), self.answers.put_nowait
        )
        settings = Settings(CONFIG, folder, 0)
        self.life = asyncio.ensure_future(work(settings, self._take, self.post))

    def _take(self) -> Config:
        if isinstance(self.newest, Exception):
            raise self.newest
        return self.newest

    async def ready(self) -> None:
        await asyncio.wait_for(self._ready.wait(), 10)

    async def reload(self) -> str:
        """What it answers to new settings."""
        self.post.reload.set()
        return await asyncio.wait_for(self.answers.get(), 10)

    async def ask(self, path: str, body: bytes = b"") -> tuple[int, Any]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        method = "POST" if body else "GET"
        head = f"{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        answer, _, said = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        return int(answer.split()[1]), json.loads(said)


def working(scenario: Callable[[Desk], Awaitable[None]], folder: Path) -> None:
    async def whole() -> None:
        worker = Desk(folder)
        await worker.ready()
        await scenario(worker)
        worker.post.stop.set()
        await worker.life
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(whole())
    gc.unfreeze()


def test_from_start_to_shutdown(tmp_path: Path):
    async def scenario(worker: Desk) -> None:
        assert await worker.ask("/readyz") == (200, {"status": "ready"})
        assert (await worker.ask("/v1/nothing"))[0] == 404
        idle, writer = await asyncio.open_connection("127.0.0.1", worker.port)
        worker.post.stop.set()
        await worker.life
        assert await idle.read() == b""
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", worker.port)

    working(scenario, tmp_path)


def test_new_settings_hold_for_the_next_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    closed: list[str] = []
    build = module.build_gateway

    def build_gateway(settings: Settings) -> object:
        gateway = build(settings)
        gone = gateway.servers["demo"].__class__
        monkeypatch.setattr(gone, "close", note)
        return gateway

    async def note(_: object) -> None:
        closed.append("closed")

    monkeypatch.setattr(module, "build_gateway", build_gateway)

    async def scenario(worker: Desk) -> None:
        assert await worker.reload() == ""
        assert not closed, "the entry of the built-in upstream is the same"
        assert (await worker.ask("/v1/messages/count_tokens", b"{}"))[0] == 401
        worker.newest = CONFIG
        assert await worker.reload() == ""

    working(scenario, tmp_path)
    assert closed == ["closed"]


def test_settings_that_wait_for_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    renew, tries = module.renew, 0

    async def away(gateway: Any, config: Config) -> Any:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise StoreUnavailableError("away")
        return await renew(gateway, config)

    monkeypatch.setattr(module, "renew", away)

    async def scenario(worker: Desk) -> None:
        assert (await worker.reload()).startswith("waits for the database")
        while answer := await asyncio.wait_for(worker.answers.get(), 10):
            assert answer.startswith("waits for the database")

    working(scenario, tmp_path)
    assert tries == 3


def test_a_bug_in_a_reload_leaves_the_worker_as_it_was(tmp_path: Path):
    async def scenario(worker: Desk) -> None:
        worker.newest = ZeroDivisionError()
        assert "ZeroDivisionError" in await worker.reload()
        assert await worker.ask("/readyz") == (200, {"status": "ready"})

    working(scenario, tmp_path)


def test_shortages_are_told_once_a_second_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    used = 0
    monkeypatch.setattr(module, "resident_bytes", lambda: used)

    async def scenario() -> None:
        nonlocal used
        gateway = module.build_gateway(Settings(CONFIG, tmp_path, 0))
        observer = RecordingObserver()
        worker = Worker(dataclasses.replace(gateway, observer=observer))
        worker._look_around()
        used = CONFIG.server.memory_mib_max * MIB + 1
        worker._look_around()
        worker._site.turned_away = 3
        worker._look_around()
        worker._look_around()
        told = [(what.split(":")[0], str(error)) for what, error in observer.troubles]
        assert told == [
            ("memory is short", f"{CONFIG.server.memory_mib_max} MiB are in use"),
            ("file descriptors are short", "3 connections in a second"),
        ]
        await gateway.store.close(gateway.pulse.worker_id)

    asyncio.run(scenario())


@pytest.mark.parametrize("waits", [False, True])
def test_a_worker_keeps_its_lease_for_what_it_leaves_in_the_spool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, waits: bool
) -> None:
    closed: list[str] = []

    async def scenario() -> None:
        gateway = module.build_gateway(Settings(CONFIG, tmp_path, 0))
        store = gateway.store
        close = store.close

        async def away(_: object) -> None:
            raise StoreUnavailableError("away")

        async def note(worker_id: str) -> None:
            closed.append(worker_id)
            await close(worker_id)

        monkeypatch.setattr(store, "settle", away)
        monkeypatch.setattr(store, "close", note)
        if waits:
            await gateway.settler.settle(settlement("r1", 5))
        await Worker(gateway).stop()
        assert closed == ["" if waits else gateway.pulse.worker_id]

    asyncio.run(scenario())
