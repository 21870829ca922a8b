"""Never too many inside, first come first served, and no place is lost."""

import asyncio

import pytest

from tollbridge.app.turnstile import BUSY_RETRY_AFTER_S, Turnstile
from tollbridge.errors import ErrorCode, GatewayError


def turnstile(places=1, queue_max=8, queue_wait_s=20.0):
    return Turnstile(places, queue_max=queue_max, queue_wait_s=queue_wait_s)


async def settle_down():
    for _ in range(10):
        await asyncio.sleep(0)


def test_places_are_taken_at_once_while_there_are_some():
    async def main():
        gate = turnstile(2)
        await gate.enter()
        await gate.enter()
        assert (gate.inside, gate.waiting) == (2, 0)
        gate.leave()
        gate.leave()
        assert gate.inside == 0

    asyncio.run(main())


def test_a_place_without_a_wait():
    async def main():
        gate = turnstile(1)
        assert gate.try_enter()
        assert not gate.try_enter()
        assert gate.inside == 1
        gate.leave()
        assert gate.inside == 0

    asyncio.run(main())


def test_first_come_first_served_and_nobody_jumps_the_queue():
    async def main():
        gate, order = turnstile(), []

        async def pass_through(name):
            await gate.enter()
            order.append(name)

        await gate.enter()
        tasks = [asyncio.create_task(pass_through(name)) for name in "abc"]
        await settle_down()
        assert gate.waiting == 3
        for _ in range(3):
            gate.leave()
            late = asyncio.create_task(pass_through("late"))
            await settle_down()
            late.cancel()
            await settle_down()
        assert order == ["a", "b", "c"]
        await asyncio.gather(*tasks)
        gate.leave()
        assert (gate.inside, gate.waiting) == (0, 0)

    asyncio.run(main())


def test_a_full_line_is_refused_at_once():
    async def main():
        gate = turnstile(queue_max=1)
        await gate.enter()
        waiting = asyncio.create_task(gate.enter())
        await settle_down()
        with pytest.raises(GatewayError) as refused:
            await gate.enter()
        assert refused.value.code is ErrorCode.UPSTREAM_BUSY
        assert refused.value.retry_after_s == BUSY_RETRY_AFTER_S
        gate.leave()
        await waiting

    asyncio.run(main())


def test_without_a_line_nobody_waits():
    async def main():
        gate = turnstile(queue_max=0)
        await gate.enter()
        with pytest.raises(GatewayError):
            await gate.enter()

    asyncio.run(main())


def test_the_wait_has_an_end_that_takes_no_place():
    async def main():
        gate = turnstile(queue_wait_s=0.01)
        await gate.enter()
        with pytest.raises(GatewayError) as refused:
            await gate.enter()
        assert refused.value.code is ErrorCode.UPSTREAM_BUSY
        assert (gate.inside, gate.waiting) == (1, 0)
        gate.leave()
        await gate.enter()
        assert gate.inside == 1

    asyncio.run(main())


def test_who_leaves_the_line_is_skipped():
    async def main():
        gate = turnstile()
        await gate.enter()
        tasks = [asyncio.create_task(gate.enter()) for _ in range(3)]
        await settle_down()
        tasks[0].cancel()
        await settle_down()
        assert gate.waiting == 2
        tasks[1].cancel()
        gate.leave()  # before the second has heard of its end
        await settle_down()
        assert [task.cancelled() for task in tasks] == [True, True, False]
        assert tasks[2].done()
        assert (gate.inside, gate.waiting) == (1, 0)

    asyncio.run(main())


def test_a_place_that_was_granted_in_the_moment_of_a_cancellation_is_passed_on():
    async def main():
        gate = turnstile()
        await gate.enter()
        first, second = (asyncio.create_task(gate.enter()) for _ in range(2))
        await settle_down()
        gate.leave()
        first.cancel()  # after its turn has come
        await settle_down()
        assert first.cancelled()
        assert second.done()
        assert gate.inside == 1
        gate.leave()
        assert gate.inside == 0

    asyncio.run(main())
