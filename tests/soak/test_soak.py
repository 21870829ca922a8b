"""A long mixed load on one worker: its memory is flat, no task and no descriptor is left, and the
ledger is exact. `--soak-seconds` says how long; `make soak` takes an hour.
"""

import asyncio
import random
import time
from collections import Counter
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.chaos.clients import Talk, ask, prompt
from tests.chaos.rig import PROTOCOLS, Handle, Rig, live, rig_running, until
from tests.e2e.http_calls import call
from tests.fakes.chat_upstream import ChatUpstream
from tests.fakes.http_server import EVENT_TYPE, Request
from tests.fakes.messages_upstream import MessagesUpstream

from tollbridge.storage.sqlite import CACHE_KIB
from tollbridge.units import KIB, MIB

CLIENTS = 24
REST_S = 0.1
"""A client rests up to so long between two requests: the load is to last, not to fill a machine."""
METRICS_KEY = "a-key-for-the-scraper"
SETTINGS = f'metrics_key = "{METRICS_KEY}"'
WARM_SHARE = 0.4
"""Of the whole length: caches fill, pools grow, the allocator finds its size."""
GROWTH_BYTES_MAX = CACHE_KIB * KIB + 4 * MIB
"""Between the warm-up and the end: the database's page cache fills as the ledger grows, nothing else
may. In five minutes a kilobyte lost per request is twice as much."""
SLACK = 4
PLAN = {
    "stream": (30, {"whole 200"}),
    "one-shot": (20, {"whole 200"}),
    "hang-up": (12, {"left"}),
    "@error=529": (6, {"refused 529", "refused 503"}),
    "@error=400": (4, {"refused 400"}),
    "@error_after=2": (6, {"error 200", "refused 502", "refused 529", "refused 503"}),
    "@cut_after=2": (6, {"error 200", "refused 502"}),
    "bad": (6, {"refused 400"}),
    "count": (5, {"200"}),
    "models": (5, {"200"}),
}
"""What a request is for, its weight, and how it may end."""

pytestmark = pytest.mark.slow


def answering(protocol: str) -> Handle:
    """The strict fake of a protocol."""
    fake = {"messages": MessagesUpstream, "chat": ChatUpstream}[protocol]()

    async def handle(
        request: Request, _: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        reply = fake(request)
        writer.write(reply.head)
        if reply.content_type != EVENT_TYPE:
            writer.write(reply.pieces[0])
            return True
        for piece in reply.pieces:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            # Ends here if nobody listens any more: each write that follows would be a line of the
            # log, all of which pytest keeps.
            await writer.drain()
            await asyncio.sleep(0.005)
        if reply.ending == "clean":
            writer.write(b"0\r\n\r\n")
        await writer.drain()
        return reply.ending == "clean"

    return handle


async def client(number: int, rig: Rig, seen: Counter[str], stop: asyncio.Event) -> None:
    """Mixed requests, one after the other."""
    dice = random.Random(number)
    weights = [weight for weight, _ in PLAN.values()]
    while not stop.is_set():
        purpose = dice.choices(list(PLAN), weights)[0]
        ending = await _one(rig, purpose, dice.choice(PROTOCOLS), dice.choice(PROTOCOLS), dice)
        assert ending in PLAN[purpose][1], (purpose, ending)
        seen[f"{purpose}: {ending}"] += 1
        await asyncio.sleep(REST_S * dice.random())


async def _one(rig: Rig, purpose: str, protocol: str, model: str, dice: random.Random) -> str:
    gateway = rig.gateway
    text = f"{dice.randrange(10**6)} " + "some words " * dice.randrange(1, 200)
    if purpose == "models":
        url = f"{gateway.base_url}/v1/models"
        told = await asyncio.to_thread(call, url, key=gateway.key, method="GET")
        return str(told.status)
    if purpose == "count":
        url = f"{gateway.base_url}/v1/messages/count_tokens"
        body = prompt(text, model, stream=False)
        del body["max_tokens"]
        told = await asyncio.to_thread(call, url, body, key=gateway.key)
        return str(told.status)
    if purpose == "bad":
        seen = await ask(gateway, protocol, {"model": model, "messages": text})
        return f"{seen.ending} {seen.status}"
    if purpose == "hang-up":
        talk = await Talk(gateway, protocol, prompt(f"@chunks=40 {text}", model)).open()
        await talk.until(b"word1")
        talk.vanish()
        return "left"
    directive = purpose if purpose.startswith("@") else ""
    body = prompt(f"@chunks=8 {directive} {text}", model, stream=purpose != "one-shot")
    seen = await ask(gateway, protocol, body)
    return f"{seen.ending} {seen.status}"


def gauges(rig: Rig) -> tuple[float, float]:
    """Open requests and tasks, as the metrics page tells them."""
    page = call(f"{rig.gateway.root_url}/metrics", method="GET", key=METRICS_KEY)
    assert page.status == 200, page.body
    values = {
        sample.name: sample.value
        for family in text_string_to_metric_families(page.body.decode())
        for sample in family.samples
    }
    return values["tollbridge_open_requests"], values["tollbridge_tasks"]


def test_soak(tmp_path: Path, soak_seconds: float) -> None:
    live(_soak(tmp_path, soak_seconds), soak_seconds + 120)


async def _soak(folder: Path, seconds: float) -> None:
    handles = {protocol: answering(protocol) for protocol in PROTOCOLS}
    async with rig_running(folder, handles, server=SETTINGS) as rig:
        await rig.serves()
        (worker,) = rig.workers()
        _, tasks = await asyncio.to_thread(gauges, rig)
        files = rig.descriptors()
        seen: Counter[str] = Counter()
        stop = asyncio.Event()
        clients = [asyncio.ensure_future(client(n, rig, seen, stop)) for n in range(CLIENTS)]
        resident: list[int] = []
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not any(task.done() for task in clients):
            await asyncio.sleep(min(1.0, left))
            resident.append(rig.rss_bytes())
        stop.set()
        await asyncio.gather(*clients)
        records = await rig.balanced()
        warm = resident[int(len(resident) * WARM_SHARE) :]
        fifth = max(1, len(warm) // 5)
        at_first, at_last = max(warm[:fifth]), max(warm[-fifth:])
        said = f"{resident[0]} bytes at the start, {at_first} warm, {at_last} at the end"
        print(f"{seen.total()} requests in {seconds:g} s; {said}\n{dict(sorted(seen.items()))}")
        assert at_last - at_first < GROWTH_BYTES_MAX, said
        await until(lambda: rig.descriptors() <= files + SLACK, "descriptors are given back", 60)
        open_requests, tasks_now = await asyncio.to_thread(gauges, rig)
        assert open_requests == 0
        assert tasks_now <= tasks + 1, "the tick may be at work"
        assert rig.workers() == [worker]
    assert {told.partition(": ")[0] for told in seen} == set(PLAN), dict(seen)
    assert records > seen.total() / 2
