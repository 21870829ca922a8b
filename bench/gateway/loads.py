"""Three loads: small one-shot answers, paced streams, and streams whose chunks come at once."""

import asyncio
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bench.gateway.client import Connection, Request, Tally, connect

Protocol = Literal["messages", "chat"]
Kind = Literal["one-shot", "paced", "burst"]

CONNECTIONS = 64
PACED_STREAMS = 200
PACE_S = 0.02
BURST_CHUNKS = 100
BURST_CONNECTIONS = 32
FIRST_TOKEN_REQUESTS = 100
PATHS: dict[Protocol, str] = {"messages": "/v1/messages", "chat": "/v1/chat/completions"}
TERMINALS: dict[Protocol, bytes] = {"messages": b'"message_stop"', "chat": b"data: [DONE]"}

Cpu = Callable[[], float]
"""CPU seconds used so far by the process tree under test."""


@dataclass(frozen=True)
class Result:
    """One load on one target."""

    rate: float
    """Requests (one-shot) or chunks per second."""
    cpu_us: float
    """Of the process under test, per request (one-shot) or per chunk."""
    p50_ms: float
    """Of a whole answer; of a paced stream, until its first word."""
    p99_ms: float


def request_for(
    base_url: str, key: str, model: str, protocol: Protocol, *, kind: Kind, chunks: int
) -> Request:
    """A request whose prompt tells the fake upstream what to do."""
    pace = f" @pace={PACE_S}" if kind == "paced" else ""
    body = {
        "model": model,
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": f"@chunks={chunks}{pace} Count for me."}],
        "stream": kind != "one-shot",
    }
    if protocol == "chat" and kind != "one-shot":
        body["stream_options"] = {"include_usage": True}
    terminal = b"" if kind == "one-shot" else TERMINALS[protocol]
    return Request(base_url + PATHS[protocol], key, json.dumps(body).encode(), chunks, terminal)


async def repeat(request: Request, connections: int, seconds: float, cpu: Cpu) -> Result:
    """Ask again and again on every connection; CPU per request, or per chunk of a stream."""
    tally = Tally()
    opened = [await connect(request, tally) for _ in range(connections)]
    await asyncio.gather(*(connection.ask() for connection in opened))
    tally.answers, tally.words, tally.latencies_s = 0, 0, []
    began, cpu_before = time.perf_counter(), cpu()
    until = began + seconds

    async def one(connection: Connection) -> None:
        while time.perf_counter() < until:
            await connection.ask()

    await asyncio.gather(*map(one, opened))
    spent, cpu_spent = time.perf_counter() - began, cpu() - cpu_before
    _close(opened)
    units = tally.words if request.terminal else tally.answers
    return _result(units, spent, cpu_spent, tally.latencies_s)


async def pace(request: Request, streams: int, cpu: Cpu) -> Result:
    """All streams at once; measured between the last start and the first end."""
    tally = Tally()
    opened = [await connect(request, tally) for _ in range(streams)]

    async def one(connection: Connection, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        await connection.ask()

    # Spread over two paces, so that the chunks do not all come in the same instant.
    asking = [
        asyncio.ensure_future(one(connection, 2 * PACE_S * index / streams))
        for index, connection in enumerate(opened)
    ]
    together = asyncio.gather(*asking)
    while len(tally.first_word_s) < streams and not together.done():  # noqa: ASYNC110 - a poll costs
        await asyncio.sleep(PACE_S)  # the connections nothing; an event would be checked per chunk
    began, cpu_before, words_before = time.perf_counter(), cpu(), tally.words
    cpu_after, words_after, ended = cpu_before, words_before, began
    while not any(task.done() for task in asking):
        cpu_after, words_after, ended = cpu(), tally.words, time.perf_counter()
        await asyncio.sleep(PACE_S)
    await together
    _close(opened)
    if words_after == words_before:
        raise RuntimeError("streams ended before the last had begun: this machine is too busy")
    return _result(
        words_after - words_before, ended - began, cpu_after - cpu_before, tally.first_word_s
    )


async def first_token_ms(request: Request) -> float:
    """The median time to the first word, one request after another on one connection."""
    tally = Tally()
    connection = await connect(request, tally)
    for _ in range(FIRST_TOKEN_REQUESTS):
        await connection.ask()
    _close([connection])
    return statistics.median(tally.first_word_s) * 1000


def _close(connections: list[Connection]) -> None:
    for connection in connections:
        if connection.transport is not None:
            connection.transport.close()


def _result(units: int, seconds: float, cpu_s: float, latencies_s: list[float]) -> Result:
    ordered = sorted(latencies_s)
    return Result(
        rate=units / seconds,
        cpu_us=cpu_s / units * 1e6,
        p50_ms=statistics.median(ordered) * 1000,
        p99_ms=ordered[int(len(ordered) * 0.99)] * 1000,
    )
