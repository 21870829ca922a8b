import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tollbridge.errors import GatewayError
from tollbridge.server import site as module
from tollbridge.server.inbound import Request
from tollbridge.server.outbound import Answer
from tollbridge.server.site import Site
from tollbridge.server.supervisor import open_sockets
from tollbridge.units import Millis


async def nothing(_: Request, __: Answer) -> None:
    """Serves nobody."""


class Member:
    """Notes what its site tells it; `lasting` ones outlive being told to go."""

    def __init__(self, site: Site, deadline: float = float("inf"), *, lasting: int = 0) -> None:
        self.deadline = deadline
        self.told: list[str] = []
        self._lasting = lasting
        self._site = site
        site.connections.add(self)

    def expire(self) -> None:
        self.deadline = float("inf")
        self.told.append("expire")

    def retire(self) -> None:
        self._tell("retire")

    def cut(self, error: GatewayError) -> None:
        self.told.append(error.code.name)

    def abort(self) -> None:
        self._tell("abort")

    def _tell(self, what: str) -> None:
        self.told.append(what)
        if len(self.told) > self._lasting:
            self._site.connections.discard(self)


class Moments:
    """A clock that a test sets."""

    now = Millis(0)

    def __call__(self) -> Millis:
        return self.now


def run(scenario: Callable[[Site, Moments], Awaitable[None]], connections_max: int = 9) -> None:
    async def whole() -> None:
        clock = Moments()
        site = Site(nothing, clock, 100, connections_max=connections_max, tick_s=0.001)
        await scenario(site, clock)
        await site.close()

    asyncio.run(whole())


def test_the_tick_tells_the_time_and_who_is_late():
    async def scenario(site: Site, clock: Moments) -> None:
        assert site.date_line == "date: Thu, 01 Jan 1970 00:00:00 GMT"
        (listening,) = open_sockets("127.0.0.1", 0, 1)
        await site.listen(listening, asyncio.Protocol)
        now = site.loop.time()
        late, soon, never = Member(site, now), Member(site, now + 0.002), Member(site)
        clock.now = Millis(86_400_000)
        while not soon.told:  # noqa: ASYNC110 - a test polls
            await asyncio.sleep(0.001)
        assert (late.told, soon.told, never.told) == (["expire"], ["expire"], [])
        assert site.date_line == "date: Fri, 02 Jan 1970 00:00:00 GMT"
        site.refuse()

    run(scenario)


def test_an_end_that_waits_for_what_is_under_way(monkeypatch: pytest.MonkeyPatch):
    async def scenario(site: Site, _: Moments) -> None:
        idle, busy = Member(site), Member(site, lasting=1)
        site.refuse()
        assert site.draining
        assert (idle.told, busy.told) == (["retire"], ["retire"])
        site.loop.call_later(0.02, site.connections.discard, busy)
        await site.close()
        assert busy.told == ["retire"]
        monkeypatch.setattr(module, "FLUSH_S", 0.02)
        stuck, dead = Member(site, lasting=1), Member(site, lasting=5)
        site.refuse()
        await site.close()
        assert (stuck.told, dead.told) == (["retire", "abort"], ["retire", "abort"])

    run(scenario)


def test_it_listens_until_it_refuses():
    async def scenario(site: Site, _: Moments) -> None:
        (listening,) = open_sockets("127.0.0.1", 0, 1)
        port = listening.getsockname()[1]
        await site.listen(listening, asyncio.Protocol)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        site.refuse()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)

    run(scenario)


def test_one_connection_too_many_is_closed_at_once():
    async def scenario(site: Site, _: Moments) -> None:
        (listening,) = open_sockets("127.0.0.1", 0, 1)
        await site.listen(listening, asyncio.Protocol)
        Member(site, lasting=0)
        reader, writer = await asyncio.open_connection("127.0.0.1", listening.getsockname()[1])
        assert await reader.read() == b""
        writer.close()
        assert site.turned_away == 1
        site.refuse()

    run(scenario, connections_max=1)


def test_bodies_that_are_still_arriving_are_cut():
    async def scenario(site: Site, _: Moments) -> None:
        member = Member(site)
        site.cut()
        assert member.told == ["GATEWAY_STOPPING"]
        site.connections.clear()

    run(scenario)


def test_what_is_done_at_each_tick():
    async def scenario(site: Site, _: Moments) -> None:
        ticked = asyncio.Event()
        site.on_tick = ticked.set
        (listening,) = open_sockets("127.0.0.1", 0, 1)
        await site.listen(listening, asyncio.Protocol)
        await asyncio.wait_for(ticked.wait(), 10)
        site.refuse()

    run(scenario)
