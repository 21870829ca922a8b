"""A model test against `Pool`, and its rules one by one."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from tollbridge.upstream.pool import Pool


def test_last_in_first_out_and_limit() -> None:
    pool: Pool[str] = Pool(2)
    assert pool.take() is None
    assert pool.reserve()
    assert pool.reserve()
    assert not pool.reserve()
    pool.put("a", 1.0)
    pool.put("b", 2.0)
    assert (pool.open, pool.idle, pool.oldest()) == (2, 2, 1.0)
    assert pool.take() == "b"
    assert pool.take() == "a"
    assert pool.take() is None
    pool.remove("a")
    assert pool.open == 1
    assert pool.reserve()


def test_idle_since() -> None:
    pool: Pool[str] = Pool(3)
    for moment, name in enumerate("abc"):
        assert pool.reserve()
        pool.put(name, float(moment))
    assert pool.idle_since(1.0) == ["a", "b"]
    for name in pool.idle_since(1.0):
        pool.remove(name)
    assert (pool.open, pool.oldest()) == (1, 2.0)


def test_first_in_line_first_served() -> None:
    async def main() -> None:
        pool: Pool[str] = Pool(1)
        assert pool.reserve()
        loop = asyncio.get_running_loop()
        line: list[asyncio.Future[str | None]] = [loop.create_future() for _ in range(4)]
        for waiter in line:
            pool.join(waiter)
        line[0].cancel()
        pool.put("a", 0.0)
        assert line[1].result() == "a"
        assert not line[2].done()
        pool.leave(line[2])
        pool.remove("a")
        assert line[3].result() is None
        assert (pool.open, pool.idle, pool.waiting) == (1, 0, 0)
        pool.leave(line[3])
        pool.free_place()
        assert pool.open == 0

    asyncio.run(main())


@given(st.lists(st.sampled_from(["take", "put", "close", "close idle", "leave"]), max_size=60))
def test_nothing_is_lost(steps: list[str]) -> None:
    """Open connections are idle, in use, or granted; nobody waits while one is free."""
    limit = 3

    async def main() -> None:
        pool: Pool[int] = Pool(limit)
        loop = asyncio.get_running_loop()
        in_use: list[int] = []
        line: list[asyncio.Future[int | None]] = []
        made = 0
        for step in steps:
            if step == "take":
                connection = pool.take()
                if connection is not None:
                    in_use.append(connection)
                elif pool.reserve():
                    made += 1
                    in_use.append(made)
                else:
                    line.append(loop.create_future())
                    pool.join(line[-1])
            elif step == "put" and in_use:
                pool.put(in_use.pop(), 0.0)
            elif step == "close" and in_use:
                pool.remove(in_use.pop())
            elif step == "close idle":
                for connection in pool.idle_since(0.0):
                    pool.remove(connection)
            elif step == "leave" and line:
                pool.leave(line.pop())
            for waiter in [waiter for waiter in line if waiter.done()]:
                assert waiter is line[0], "out of turn"
                line.remove(waiter)
                granted = waiter.result()
                if granted is None:
                    made += 1
                    granted = made
                in_use.append(granted)
            assert pool.open == pool.idle + len(in_use) <= limit
            assert pool.waiting == len(line)
            assert not (line and pool.open < limit)
            assert not (line and pool.idle)

    asyncio.run(main())
