"""How a target is loaded, and what is read off: answers again and again, paced streams, one by one.

Every load returns figures by name. CPU is that of the target's whole process tree; the delay of a
paced word runs from the upstream's writing it to its arrival here.
"""

import asyncio
import gc
import math
import statistics
import time
from dataclasses import dataclass
from typing import Literal

import uvloop
from bench.gateway.client import (
    Connection,
    RefusedError,
    Tally,
    WrongAnswerError,
    connect,
    request_for,
)
from bench.gateway.replies import Protocol
from bench.gateway.results import Figures
from bench.gateway.targets import Running

Kind = Literal["repeat", "paced", "overload", "single"]

STARTS_PER_S = 750
"""New paced streams a second, so that starting them is not what is measured."""
SETTLE_S = 0.3
BROKEN_MAX = 0.01
"""Of paced streams: with more of them lost there is nothing to say about the others."""
SLACK_S = 1.0
POLL_S = 0.05
WARM_UP = 3
"""Answers on each connection that do not count."""
WEIGHED_MIN = 1_000
"""Fewer streams do not stand out of a process's own memory."""
STARTING_MIN_S = 1.0
LOAD_TIMEOUT_S = 90
"""An answer that has not come by then is lost."""
SINGLE_CHUNKS, SINGLE_PACE_MS = 3, 5
"""The first word comes alone: a gateway that waits for more is found out."""
CONNECTS_AT_ONCE = 200


@dataclass(frozen=True)
class Load:
    """One row of the table."""

    name: str
    title: str
    kind: Kind
    connections: int
    chunks: int = 8
    stream: bool = False
    pace_ms: int = 0
    body_bytes: int = 0

    @property
    def weighs(self) -> bool:
        """Whether it tells the memory of a stream, for which a target must be fresh."""
        return self.kind == "paced" and self.connections >= WEIGHED_MIN

    @property
    def unit(self) -> str:
        """What CPU is counted for."""
        return "chunk" if self.stream else "request"


LOADS = (
    Load("one-shot", "small one-shot answers, 64 connections", "repeat", 64),
    Load("burst", "100 chunks at once, 32 connections", "repeat", 32, 100, stream=True),
    Load("paced-200", "200 streams, 20 ms apart", "paced", 200, stream=True, pace_ms=20),
    Load("paced-1000", "1,000 streams, 100 ms apart", "paced", 1_000, stream=True, pace_ms=100),
    Load("paced-3000", "3,000 streams, 300 ms apart", "paced", 3_000, stream=True, pace_ms=300),
    Load("overload", "1,000 streams, 20 ms apart", "overload", 1_000, stream=True, pace_ms=20),
    Load("body-60k", "bodies of 60 kB, 32 connections", "repeat", 32, body_bytes=60_000),
    Load("body-1m", "bodies of 1 MB, 8 connections", "repeat", 8, body_bytes=1_000_000),
    Load(
        "first-token", "one connection, no load", "single", 1, SINGLE_CHUNKS, stream=True,
        pace_ms=SINGLE_PACE_MS,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Effort:
    """How long to look."""

    repeat_s: float
    paced_s: float
    overload_s: float
    singles: int


def run(
    load: Load, running: Running, client: Protocol, model: str, effort: Effort, tally: Tally
) -> Figures:
    """One load on one running target, in an event loop of its own.

    `tally.problems` tells of the few paced streams that may be lost before the run is void.

    Raises:
        WrongAnswerError: an answer was not what the upstream sent; the run is void.
        OverwhelmedError: paced streams were not carried at their pace.
    """
    gc.collect()
    gc.disable()
    try:
        return uvloop.run(_run(load, running, client, model, effort, tally))
    finally:
        gc.enable()


async def _run(
    load: Load, running: Running, client: Protocol, model: str, effort: Effort, tally: Tally
) -> Figures:
    streams = max(1, round(load.connections * running.share)) if load.stream else load.connections
    starting_s = max(STARTING_MIN_S, 2 * load.pace_ms / 1000, streams / STARTS_PER_S)
    chunks = load.chunks
    if load.kind == "paced":
        chunks = math.ceil((starting_s + SETTLE_S + SLACK_S + effort.paced_s) * 1000 / load.pace_ms)
    elif load.kind == "overload":
        chunks = math.ceil(effort.overload_s * 1000 / load.pace_ms)
    request = request_for(
        running.root_url, running.key, model, client,
        chunks=chunks, stream=load.stream, pace_ms=load.pace_ms, body_bytes=load.body_bytes,
        headers=running.headers.get(model),
    )  # fmt: skip
    idle_kb = running.memory_kb()
    opened: list[Connection] = []
    try:
        while len(opened) < streams:
            count = min(CONNECTS_AT_ONCE, streams - len(opened))
            opened += await asyncio.gather(*(connect(request, tally) for _ in range(count)))
        async with asyncio.timeout(LOAD_TIMEOUT_S):
            match load.kind:
                case "repeat":
                    return await _repeat(opened, tally, running, effort.repeat_s, load)
                case "single":
                    return await _one_by_one(opened[0], tally, effort.singles)
                case "overload":
                    return await _overload(opened, tally, running, starting_s)
                case "paced":
                    return await _paced(opened, tally, running, starting_s, effort.paced_s, idle_kb)
    except TimeoutError as error:
        late = f"after {LOAD_TIMEOUT_S} s there were {tally.answers} answers, and more to come"
        raise OverwhelmedError(late) from error
    finally:
        for connection in opened:
            connection.close()


class OverwhelmedError(Exception):
    """The load was not carried at its pace, so that nothing can be said about one that is."""


async def _repeat(
    opened: list[Connection], tally: Tally, running: Running, seconds: float, load: Load
) -> Figures:
    """Ask again and again on every connection."""
    for _ in range(WARM_UP):
        await asyncio.gather(*(connection.ask() for connection in opened))
    tally.clear()
    began, cpu_before = time.monotonic(), running.cpu_s()
    until = began + seconds

    async def one(connection: Connection) -> None:
        while time.monotonic() < until:
            await connection.ask()

    await asyncio.gather(*map(one, opened))
    spent, cpu_spent = time.monotonic() - began, running.cpu_s() - cpu_before
    units = tally.words if load.stream else tally.answers
    return {
        "cpu_us": cpu_spent / units * 1e6,
        "rate": units / spent,
        **_spread("latency", tally.latencies_s, 1e3),
    }


async def _one_by_one(connection: Connection, tally: Tally, count: int) -> Figures:
    """Time to the first word of an answer that nothing else competes with."""
    for _ in range(WARM_UP):
        await connection.ask()
    tally.clear()
    for _ in range(count):
        await connection.ask()
    return _spread("first_word", tally.first_word_s, 1e3)


async def _paced(
    opened: list[Connection],
    tally: Tally,
    running: Running,
    starting_s: float,
    seconds: float,
    idle_kb: int,
) -> Figures:
    """All streams at once; measured between the last start and the first end."""
    asking = _start(opened, starting_s)
    together = asyncio.gather(*asking, return_exceptions=True)
    # A poll costs the connections nothing; an event would be looked at for every chunk.
    both = list(zip(opened, asking, strict=True))
    while any(not (connection.worded or task.done()) for connection, task in both):  # noqa: ASYNC110
        await asyncio.sleep(POLL_S)
    await asyncio.sleep(SETTLE_S)
    pids = running.pids()
    began, cpu_before, words_before = time.monotonic(), running.cpu_s(pids), tally.words
    tally.sampling = True
    while time.monotonic() < began + seconds and not tally.answers:  # noqa: ASYNC110
        await asyncio.sleep(POLL_S)
    tally.sampling = False
    cpu_spent, words = running.cpu_s(pids) - cpu_before, tally.words - words_before
    spent = time.monotonic() - began
    weight = {}
    if running.pid and len(opened) >= WEIGHED_MIN:
        weight["stream_kb"] = (running.memory_kb() - idle_kb) * 1.024 / len(opened)
    ended_early = tally.answers > 0 or together.done()
    problems = [problem for problem in await together if problem is not None]
    if len(problems) > BROKEN_MAX * len(opened):
        raise problems[0]
    if ended_early or not words:
        raise OverwhelmedError("the first stream ended when the last had hardly begun")
    tally.problems += map(str, problems)
    return {
        "cpu_us": cpu_spent / words * 1e6,
        "rate": words / spent,
        "complete": tally.answers / len(opened),
        **weight,
        **_spread("delay", tally.delays_us, 1e-3),
        **_spread("first_word", tally.first_word_s, 1e3),
    }


async def _overload(
    opened: list[Connection], tally: Tally, running: Running, starting_s: float
) -> Figures:
    """More than can be carried: what came through, what was refused, what was lost."""
    pids = running.pids()
    tally.sampling = True
    began, cpu_before = time.monotonic(), running.cpu_s(pids)
    outcomes = await asyncio.gather(*_start(opened, starting_s), return_exceptions=True)
    spent, cpu_spent = time.monotonic() - began, running.cpu_s(pids) - cpu_before
    refused = sum(isinstance(outcome, RefusedError) for outcome in outcomes)
    broken = sum(isinstance(outcome, WrongAnswerError) for outcome in outcomes) - refused
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, WrongAnswerError):
            raise outcome
    return {
        "cpu_us": cpu_spent / max(1, tally.words) * 1e6,
        "rate": tally.words / spent,
        "complete": tally.answers / len(opened),
        "refused": refused / len(opened),
        "broken": broken / len(opened),
        **(_spread("delay", tally.delays_us, 1e-3) if tally.delays_us else {}),
    }


def _start(opened: list[Connection], starting_s: float) -> list[asyncio.Task[None]]:
    """Ask on all, evenly spread over the time, so that the chunks do not come in one instant."""

    async def one(connection: Connection, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        await connection.ask()

    return [
        asyncio.ensure_future(one(connection, starting_s * index / len(opened)))
        for index, connection in enumerate(opened)
    ]


def _spread(name: str, values: list[float] | list[int], factor: float) -> Figures:
    """The median and the 99th percentile, in milliseconds."""
    ordered = sorted(values)
    return {
        f"{name}_p50_ms": statistics.median(ordered) * factor,
        f"{name}_p99_ms": ordered[int(len(ordered) * 0.99)] * factor,
    }
