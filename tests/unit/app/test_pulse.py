"""The tick: heartbeats, checkpoints, the lease, the sweeper; and the end of a worker."""

import asyncio

import pytest
from tests.contract.samples import settlement
from tests.fakes.bodies import message_end, message_start, messages_body, text_delta
from tests.fakes.exchange_parts import (
    HANG,
    MemorySpool,
    RecordingClient,
    RecordingObserver,
    ScriptedReply,
)
from tests.fakes.world import answer, in_world, settle_down

from tollbridge.app import pulse as module
from tollbridge.app.ports import StoreUnavailableError
from tollbridge.app.pulse import CHECKPOINTS_MAX, Pulse
from tollbridge.app.settlement import Settler
from tollbridge.units import LEASE_MS


class Store:
    """Notes what it is asked; `away` makes it refuse, `gate` makes it slow."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.away = False
        self.gate: asyncio.Event | None = None

    async def checkpoint(self, worker_id, checkpoints, now):
        await self._ask("checkpoint")

    async def sweep(self, now):
        await self._ask("sweep")
        return 0

    async def _ask(self, what):
        if self.gate is not None:
            await self.gate.wait()
        if self.away:
            raise StoreUnavailableError("away")
        self.asked.append(what)


class Live:
    """Under way, silent, and broken if told."""

    def __init__(self, pulse: Pulse, error: Exception | None = None) -> None:
        self.beat = 0
        self.beats: list[int] = []
        self.interrupts = 0
        self._pulse = pulse
        self._error = error

    def checkpoint(self):
        if self._error is not None:
            raise self._error

    def keep_alive(self):
        if self._error is not None:
            raise self._error
        self.beats.append(self._pulse.tick)
        self.beat = self._pulse.tick

    def interrupt(self):
        self.interrupts += 1
        if self.interrupts == 2:
            del self._pulse.live[self]


class Ticking:
    """A pulse whose seconds pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1_000_000
        self.store = Store()
        self.observer = RecordingObserver()
        settler = Settler(self.store, self.observer, MemorySpool())
        self.pulse = Pulse(self.store, settler, self.observer, "worker-1", lambda: self.now)

    async def seconds(self, count: int) -> None:
        for _ in range(count):
            self.now += 1_000
            self.pulse._beat()
            await settle_down(5)


def ticking(scenario):
    async def run():
        world = Ticking()
        await world.pulse.start()
        await scenario(world)
        await world.pulse.stop()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    def test():
        asyncio.run(run())

    test.__name__ = scenario.__name__
    return test


@ticking
async def test_the_lease_is_taken_before_the_first_tick(world):
    assert world.store.asked == ["checkpoint"]


@ticking
async def test_checkpoints_and_sweeps(world):
    await world.seconds(8)
    assert world.store.asked[1:] == [
        "checkpoint", "sweep", "checkpoint", "checkpoint", "sweep", "checkpoint",
    ]  # fmt: skip


@ticking
async def test_many_checkpoints_are_written_a_few_at_a_time(world):
    world.pulse.live |= dict.fromkeys(Live(world.pulse) for _ in range(2 * CHECKPOINTS_MAX + 1))
    await world.seconds(2)
    assert world.store.asked[1:] == ["checkpoint", "checkpoint", "checkpoint", "sweep"]
    world.pulse.live.clear()


@ticking
async def test_heartbeats_after_ten_silent_ticks(world):
    live = Live(world.pulse)
    world.pulse.live[live] = None
    await world.seconds(25)
    assert live.beats == [10, 20]
    world.pulse.live.clear()


@ticking
async def test_a_database_that_hangs_does_not_hold_the_heartbeats_back(world):
    live = Live(world.pulse)
    world.pulse.live[live] = None
    world.store.gate = asyncio.Event()
    await world.seconds(20)
    assert live.beats == [10, 20]
    world.store.gate.set()
    world.pulse.live.clear()


@ticking
async def test_the_tick_outlives_a_database_that_is_away(world):
    world.store.away = True
    await world.seconds(4)
    assert [type(error) for _, error in world.observer.troubles] == [StoreUnavailableError] * 2
    world.store.away = False
    await world.seconds(2)
    assert world.store.asked[-1] == "checkpoint"


@ticking
async def test_after_an_outage_nobody_is_swept_until_all_could_renew(world):
    world.store.away = True
    await world.seconds(20)
    world.store.away = False
    await world.seconds(LEASE_MS // 1_000 - 1)
    assert "sweep" not in world.store.asked
    await world.seconds(8)
    assert "sweep" in world.store.asked


@ticking
async def test_after_the_machine_slept_nobody_is_swept_at_once(world):
    world.now += 60_000
    await world.seconds(8)
    assert "sweep" not in world.store.asked


@ticking
async def test_a_bug_in_one_exchange_costs_neither_the_lease_nor_another_s_heartbeat(world):
    world.pulse.live |= {Live(world.pulse, ValueError()): None, (live := Live(world.pulse)): None}
    await world.seconds(10)
    told = {what for what, _ in world.observer.troubles}
    assert told == {"bug in a checkpoint", "bug in a heartbeat"}
    assert (live.beats, world.store.asked[1:3]) == ([10], ["checkpoint", "sweep"])
    world.pulse.live.clear()


@ticking
async def test_a_bug_does_not_stop_the_tick(world):
    async def broken(now):
        raise ZeroDivisionError

    world.store.sweep = broken
    await world.seconds(4)
    assert isinstance(world.observer.troubles[0][1], ZeroDivisionError)
    assert world.store.asked[1:] == ["checkpoint", "checkpoint"]


@ticking
async def test_a_slow_database_is_asked_again_as_soon_as_it_has_answered(world):
    world.store.gate = asyncio.Event()
    await world.seconds(5)
    world.store.gate.set()
    await settle_down()
    await world.seconds(1)
    assert world.store.asked.count("checkpoint") == 3


class Door:
    """`inside` requests are still arriving until they are cut so often."""

    def __init__(self, inside: int = 0, patience: int = 1) -> None:
        self.inside = inside
        self.cuts = 0
        self._patience = patience

    def cut(self) -> None:
        self.cuts += 1
        if self.cuts == self._patience:
            self.inside = 0


@ticking
async def test_drain_interrupts_until_nobody_is_left(world):
    live = Live(world.pulse)
    world.pulse.live[live] = None
    await world.pulse.drain(0, Door())
    assert live.interrupts == 2


@ticking
async def test_drain_waits_for_requests_that_are_arriving_and_cuts_them(world):
    door = Door(inside=3, patience=2)
    await world.pulse.drain(0, door)
    assert (door.inside, door.cuts) == (0, 2)
    door = Door(inside=1)
    drain = asyncio.ensure_future(world.pulse.drain(60, door))
    await settle_down()
    assert not drain.done()
    door.inside = 0
    await drain
    assert door.cuts == 0


def test_drain_ends_though_nothing_does(monkeypatch):
    monkeypatch.setattr(module, "CUT_S", 0.05)

    @ticking
    async def scenario(world):
        door = Door(inside=1, patience=-1)
        await world.pulse.drain(0, door)
        assert door.cuts >= 1

    scenario()


def test_ticks_by_itself(monkeypatch):
    monkeypatch.setattr(module, "TICK_S", 0.001)

    @ticking
    async def scenario(world):
        while world.store.asked.count("checkpoint") < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        assert world.pulse.tick >= 4

    scenario()


def test_a_lease_that_cannot_be_taken_stops_the_start():
    async def scenario():
        world = Ticking()
        world.store.away = True
        with pytest.raises(StoreUnavailableError):
            await world.pulse.start()

    asyncio.run(scenario())


@in_world()
async def test_drain_waits_for_what_ends_by_itself(world):
    gate = asyncio.Event()
    reply = answer("Hello")
    send = world.servers["one"].send

    async def send_late(call):
        await gate.wait()
        return await send(call)

    world.servers["one"].send = send_late
    world.servers["one"].answers = [reply]
    client = RecordingClient()
    run = asyncio.ensure_future(world.open(client, messages_body()))
    await settle_down()
    drain = asyncio.ensure_future(world.pulse.drain(20, Door()))
    await settle_down()
    assert not drain.done()
    gate.set()
    await run
    await drain
    assert b"message_stop" in client.body


def test_drain_interrupts_streams_and_settles_them(tmp_path):
    @in_world()
    async def scenario(world):
        world.servers["one"].answers = [
            ScriptedReply([message_start(), text_delta("x" * 40), HANG])
        ]
        client = RecordingClient()
        run = asyncio.ensure_future(world.open(client, messages_body()))
        await settle_down()
        await world.pulse.drain(0, Door())
        await run
        assert b"event: error" in client.body
        assert world.usage()[0]["outcome"] == "failed_midway"

    scenario(tmp_path)


@in_world()
async def test_stop_settles_what_still_waits(world):
    def go_away():
        world.store.away = True

    world.servers["one"].answers = [
        ScriptedReply([message_start(), go_away, text_delta("a"), message_end()])
    ]
    await world.ask(messages_body())
    assert len(world.settler.waiting) == 1
    world.store.away = False
    await world.pulse.stop()
    assert not world.settler.waiting
    assert world.usage()[0]["outcome"] == "finished"


class Alerter:
    """Counts."""

    wakes = stops = 0

    def wake(self):
        self.wakes += 1

    async def stop(self):
        self.stops += 1


def test_alerts_are_looked_for_every_other_second():
    async def scenario():
        store, observer, alerter = Store(), RecordingObserver(), Alerter()
        settler = Settler(store, observer, MemorySpool())
        pulse = Pulse(store, settler, observer, "worker-1", lambda: 0, alerter)
        await pulse.start()
        for _ in range(5):
            pulse._beat()
            await settle_down(5)
        await pulse.stop()
        return alerter

    alerter = asyncio.run(scenario())
    assert (alerter.wakes, alerter.stops) == (2, 1)


def test_what_dead_workers_spooled_is_settled_before_the_first_tick():
    class Settling(Store):
        async def settle(self, settlement):
            await self._ask(f"settle {settlement.request_id}")

    async def scenario():
        store, observer, spool = Settling(), RecordingObserver(), MemorySpool(settlement("r1", 5))
        pulse = Pulse(store, Settler(store, observer, spool), observer, "worker-1", lambda: 0)
        await pulse.start()
        asked = list(store.asked)
        await pulse.stop()
        assert spool.closed
        return asked

    assert asyncio.run(scenario()) == ["checkpoint", "settle r1"]


def test_figures_are_left_for_others_every_other_second():
    class Scoreboard:
        content_type = ""

        def __init__(self):
            self.told = []

        def wake(self, under_way):
            self.told.append(under_way)

        async def stop(self):
            self.told.append("stop")

    async def scenario():
        store, observer, board = Store(), RecordingObserver(), Scoreboard()
        settler = Settler(store, observer, MemorySpool())
        pulse = Pulse(store, settler, observer, "worker-1", lambda: 0, None, board)
        for _ in range(4):
            pulse._beat()
            await settle_down(5)
        await pulse.stop()
        return board.told

    assert asyncio.run(scenario()) == [0, 0, "stop"]
