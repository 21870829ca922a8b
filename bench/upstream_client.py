"""CPU time of the upstream client per request and per streamed chunk.

Run it from the root: `python bench/upstream_client.py`. The server is a process of its own, so that
only the client's CPU is counted (`time.process_time`, which includes the kernel's part). Each
measurement is bounded to about a second; figures of one run compare, those of two machines do not.
"""

import asyncio
import multiprocessing
import time
from multiprocessing.connection import Connection as Pipe
from typing import cast

import uvloop

from tollbridge.app.ports import UpstreamRequest
from tollbridge.upstream.connection import Reply
from tollbridge.upstream.http_client import HttpUpstream

REQUESTS = 6_000
STREAMS = 100
CHUNKS = 40
PACE_S = 0.02

_HEADERS = b"date: Sun, 22 Nov 2026 10:00:00 GMT\r\nserver: bench\r\nx-request-id: req_1\r\n"
_BODY = b'{"id":"msg_1","content":[{"type":"text","text":"' + b"hello " * 60 + b'"}]}'
_ONE_SHOT = (
    b"HTTP/1.1 200 OK\r\n%bcontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
    % (_HEADERS, len(_BODY), _BODY)
)
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\n%bcontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    % _HEADERS
)
_EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"hello"}}]}\n\n' + b" " * 60
_CHUNK = b"%x\r\n%b\r\n" % (len(_EVENT), _EVENT)


class _Server(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.buffer.endswith(b"}"):
            return
        path, self.buffer = self.buffer.split(b" ", 2)[1], b""
        if path == b"/one":
            self.transport.write(_ONE_SHOT)
        else:
            self.transport.write(_STREAM_HEAD)
            self.send(0)

    def send(self, sent: int) -> None:
        if sent == CHUNKS:
            self.transport.write(b"0\r\n\r\n")
        else:
            self.transport.write(_CHUNK)
            asyncio.get_running_loop().call_later(PACE_S, self.send, sent + 1)


def _serve(pipe: Pipe) -> None:
    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(_Server, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(main())


async def _read_all(upstream: HttpUpstream, request: UpstreamRequest) -> int:
    return await _read_rest(await upstream.send(request))


async def _read_rest(reply: Reply) -> int:
    pieces = 0
    while await reply.read():
        pieces += 1
    return pieces


async def _measure(port: int) -> None:
    upstream = HttpUpstream(f"http://127.0.0.1:{port}")
    headers = [("content-type", "application/json"), ("authorization", "Bearer " + "k" * 60)]
    body = b'{"model":"m","messages":[{"role":"user","content":"' + b"word " * 100 + b'"}]}'
    one = UpstreamRequest("POST", "/one", headers, body)
    many = UpstreamRequest("POST", "/stream", headers, body)
    for _ in range(200):
        await _read_all(upstream, one)

    started = time.process_time()
    for _ in range(REQUESTS):
        await _read_all(upstream, one)
    cpu = time.process_time() - started
    print(f"one-shot, one at a time:   {cpu / REQUESTS * 1e6:6.1f} us of CPU per request")

    async def worker() -> None:
        for _ in range(REQUESTS // 50):
            await _read_all(upstream, one)

    started = time.process_time()
    await asyncio.gather(*(worker() for _ in range(50)))
    cpu = time.process_time() - started
    print(f"one-shot, 50 at a time:    {cpu / REQUESTS * 1e6:6.1f} us of CPU per request")

    replies = await asyncio.gather(*(upstream.send(many) for _ in range(STREAMS)))
    started = time.process_time()
    pieces = sum(await asyncio.gather(*(_read_rest(reply) for reply in replies)))
    cpu = time.process_time() - started
    print(
        f"{STREAMS} streams, paced {PACE_S * 1e3:g} ms:  {cpu / pieces * 1e6:6.1f} us of CPU"
        f" per chunk ({pieces} reads of {STREAMS * CHUNKS} chunks)"
    )
    await upstream.close()


def main() -> None:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        uvloop.run(_measure(ours.recv()))
    finally:
        process.terminate()
        process.join()


if __name__ == "__main__":
    main()
