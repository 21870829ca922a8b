"""Places, the line before them, and the ceiling of memory."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tollbridge.config import ServerConfig
from tollbridge.errors import ErrorCode, GatewayError
from tollbridge.server.intake import RETRY_AFTER_S, Intake, IntakeLimits
from tollbridge.units import MIB

PATIENT_S = 60.0


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await scenario()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(whole())


def intake(places: int = 2, line: int = 2, wait_s: float = PATIENT_S, mib: int = 0) -> Intake:
    return Intake(IntakeLimits(places, line, wait_s, mib * MIB))


async def in_line(door: Intake, count: int) -> list[asyncio.Task[None]]:
    waiting = [asyncio.create_task(door.wait()) for _ in range(count)]
    await asyncio.sleep(0)
    return waiting


async def refused(waiting: Awaitable[None], why: str) -> None:
    with pytest.raises(GatewayError, match=why) as caught:
        await waiting
    assert caught.value.code is ErrorCode.GATEWAY_OVERLOADED
    assert caught.value.retry_after_s == RETRY_AFTER_S


def test_the_limits_of_the_file():
    server = ServerConfig(requests_max=7, queue_max=3, queue_wait_s=0.5, memory_mib_max=2)
    assert IntakeLimits.of(server) == (7, 3, 0.5, 2 * MIB)


def test_places_are_given_and_given_back():
    door = intake()
    assert [door.take() for _ in range(3)] == [True, True, False]
    door.leave()
    assert (door.inside, door.take()) == (1, True)


def test_at_twice_the_capacity_those_in_line_come_in_turn_and_the_rest_is_refused_at_once():
    async def scenario() -> None:
        door = intake(places=3, line=2)
        assert [door.take() for _ in range(3)] == [True] * 3
        first, second = await in_line(door, 2)
        for _ in range(3):
            await refused(door.wait(), "3 requests under way and no room")
        assert (door.inside, door.waiting) == (3, 2)
        door.leave()
        await first
        assert not second.done()
        assert not door.take(), "nobody overtakes the line"
        door.leave()
        await second
        assert (door.inside, door.waiting) == (3, 0)
        for _ in range(3):
            door.leave()
        assert door.inside == 0

    run(scenario)


def test_a_line_that_does_not_move():
    async def scenario() -> None:
        door = intake(places=1, wait_s=0.01)
        assert door.take()
        await refused(door.wait(), "no place for this request within 0.01 s")
        assert (door.inside, door.waiting) == (1, 0)

    run(scenario)


def test_no_line_at_all():
    async def scenario() -> None:
        door = intake(places=1, line=0)
        assert door.take()
        await refused(door.wait(), "no room")

    run(scenario)


def test_one_who_goes_away_while_waiting_takes_no_place():
    async def scenario() -> None:
        door = intake(places=1)
        assert door.take()
        gone, granted = await in_line(door, 2)
        gone.cancel()
        door.leave()  # before the one who goes has noticed
        granted.cancel()
        for waiting in (gone, granted):
            with pytest.raises(asyncio.CancelledError):
                await waiting
        assert (door.inside, door.waiting) == (0, 0)

    run(scenario)


def test_fewer_places_after_a_reload():
    async def scenario() -> None:
        door = intake(places=2)
        assert door.take()
        assert door.take()
        (waiting,) = await in_line(door, 1)
        door.use(door.limits._replace(requests_max=1))
        door.leave()
        await asyncio.sleep(0)
        assert not waiting.done()
        door.leave()
        await waiting
        assert door.inside == 1

    run(scenario)


def test_more_places_after_a_reload():
    """A line that is never empty must not keep the old number in force."""

    async def scenario() -> None:
        door = intake(places=1, line=9)
        assert door.take()
        first, second, third = await in_line(door, 3)
        door.use(door.limits._replace(requests_max=3))
        await asyncio.gather(first, second)
        assert not third.done()
        assert (door.inside, door.waiting) == (3, 1)
        door.leave()
        await third
        assert door.inside == 3

    run(scenario)


def test_above_the_memory_ceiling_nobody_comes_in_until_it_is_well_below():
    async def scenario() -> None:
        door = intake(places=9, mib=100)
        assert door.take()
        changes = []
        for used in (100, 101, 95, 90, 95):
            changes.append((door.weigh(used * MIB), door.full_of_memory))
        assert changes == [
            (False, False), (True, True), (False, True), (True, False), (False, False),
        ]  # fmt: skip
        door.weigh(101 * MIB)
        assert not door.take()
        await refused(door.wait(), "used up the memory")

    run(scenario)


def test_memory_that_nobody_gives_back_does_not_end_the_service():
    door = intake(mib=100)
    door.weigh(200 * MIB)
    assert [door.take(), door.take()] == [True, False]


def test_without_a_ceiling_memory_does_not_count():
    door = intake()
    assert not door.weigh(10**12)
    assert door.take()
