"""The real command reaches upstreams through the environment's proxy and on a Unix socket."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.e2e.gateway import Gateway, running
from tests.e2e.http_calls import call, prompt
from tests.fakes.chat_upstream import ChatUpstream
from tests.fakes.forward_proxy import ForwardProxy, join
from tests.fakes.http_server import serving_in_thread

CONFIG = """
[upstreams.far]
base_url = "http://models.example/v1"
protocol = "chat"
[upstreams.near]
base_url = "http://models.example/v1"
protocol = "chat"
unix_socket = "{path}"
[models.far]
targets = [{{ upstream = "far" }}]
on_by_default = true
[models.near]
targets = [{{ upstream = "near" }}]
on_by_default = true
"""


@contextlib.contextmanager
def doors_in_thread(proxy: ForwardProxy, path: str, port: int) -> Iterator[int]:
    """Serve a proxy on a port, which is given, and what listens on `port` on a Unix socket."""
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    started = threading.Event()
    doors: list[int] = []

    async def to_the_port(reader, writer):
        await join(reader, writer, port)
        writer.close()

    async def to_the_proxy(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await proxy.handle(reader, writer)
        writer.close()

    async def run() -> None:
        on_tcp = await asyncio.start_server(to_the_proxy, "127.0.0.1", 0)
        async with on_tcp, await asyncio.start_unix_server(to_the_port, path):
            doors.append(on_tcp.sockets[0].getsockname()[1])
            started.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),), daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield doors[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


@pytest.mark.slow
def test_ways_to_an_upstream(tmp_path: Path) -> None:
    path = tmp_path / "models.sock"
    config = tmp_path / "tollbridge.toml"
    config.write_text(CONFIG.format(path=path))
    with serving_in_thread(ChatUpstream()) as fake:
        port = urlsplit(fake.root_url).port
        proxy = ForwardProxy({"models.example:80": port}, authorization="Basic dTpzM2NyZXQ=")
        with doors_in_thread(proxy, str(path), port) as door:
            environ = {"http_proxy": f"http://u:s3cret@127.0.0.1:{door}", "no_proxy": "x.example"}
            gateway = Gateway(tmp_path / "data", config, environ)
            with running(gateway):
                for model in ("far", "near"):
                    answer = call(
                        f"{gateway.base_url}/chat/completions",
                        prompt("Hello", model),
                        key=gateway.key,
                    )
                    assert answer.status == 200, answer.body
                    assert "Hello" in answer.json()["choices"][0]["message"]["content"]
                said = gateway.run("doctor")
            assert {row["state"] for row in said} == {"good"}, said
            assert "s3cret" not in gateway.log_tail
    assert proxy.heads[0].startswith("POST http://models.example/v1/chat/completions HTTP/1.1")
    assert len([head for head in proxy.heads if head.startswith("POST")]) == 1
    assert {request.headers["host"] for request in fake.requests} == {"models.example"}
