"""Names to addresses, and the race between them."""

import asyncio
import gc
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from tollbridge.upstream import resolve
from tollbridge.upstream.resolve import (
    Address,
    Resolver,
    interleave,
    literal,
    lookup_in,
    race,
    system_lookup,
)


def v4(last: int) -> Address:
    return Address(socket.AF_INET, f"192.0.2.{last}")


def v6(last: int) -> Address:
    return Address(socket.AF_INET6, f"2001:db8::{last}")


@pytest.mark.parametrize(
    ("host", "family"),
    [
        ("127.0.0.1", socket.AF_INET),
        ("::1", socket.AF_INET6),
        ("2001:db8::1", socket.AF_INET6),
        ("fe80::1%eth0", None),
        ("localhost", None),
        ("1.2.3", None),
    ],
)
def test_literals(host, family):
    address = literal(host)
    assert address == (None if family is None else Address(family, host))


def test_families_by_turns():
    assert interleave([]) == []
    assert interleave([v6(1), v6(2), v6(3), v4(1)]) == [v6(1), v4(1), v6(2), v6(3)]
    assert interleave([v4(1), v6(1), v6(2), v6(3)]) == [v4(1), v6(1), v6(2), v6(3)]


def test_the_system_knows_this_machine():
    with ThreadPoolExecutor(1) as threads:
        for lookup in (system_lookup, lookup_in(threads)):
            found = asyncio.run(lookup("localhost"))
            assert {address.host for address in found} <= {"127.0.0.1", "::1"}
            assert found


def test_a_literal_is_not_looked_up():
    async def lookup(name):
        raise AssertionError(name)

    assert asyncio.run(Resolver("::1", lookup).addresses()) == [Address(socket.AF_INET6, "::1")]


def test_each_call_looks_up_anew_and_calls_at_once_share_a_lookup():
    asked = []

    async def lookup(name):
        asked.append(name)
        await asyncio.sleep(0)
        return [v4(len(asked))]

    async def main():
        resolver = Resolver("models.example", lookup)
        together = await asyncio.gather(*(resolver.addresses() for _ in range(5)))
        assert together == [[v4(1)]] * 5
        assert await resolver.addresses() == [v4(2)]
        assert asked == ["models.example"] * 2

    asyncio.run(main())


def test_who_gives_up_leaves_the_others_their_lookup():
    async def main():
        answer = asyncio.get_running_loop().create_future()
        resolver = Resolver("models.example", lambda _: answer)
        first, second = (asyncio.create_task(resolver.addresses()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        answer.set_result([v4(1)])
        assert await second == [v4(1)]
        assert first.cancelled()

    asyncio.run(main())


def test_a_name_without_addresses():
    async def nothing(_):
        return []

    async def fails(_):
        raise socket.gaierror(-2, "unknown")

    for lookup in (nothing, fails):
        with pytest.raises(socket.gaierror):
            asyncio.run(Resolver("models.example", lookup).addresses())


def test_a_lookup_that_fails_when_everybody_has_given_up_is_silent():
    complaints = []

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        answer = loop.create_future()
        resolver = Resolver("models.example", lambda _: answer)
        waiting = asyncio.create_task(resolver.addresses())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.sleep(0)
        answer.set_exception(socket.gaierror(-2, "unknown"))
        await asyncio.sleep(0)

    asyncio.run(main())
    gc.collect()
    assert complaints == []


class Field:
    """Addresses that connect when the test says so."""

    def __init__(self) -> None:
        self.attempts: dict[Address, asyncio.Future[str]] = {}
        self.discarded: list[str] = []
        self.begun = asyncio.Event()

    async def attempt(self, address: Address) -> str:
        self.attempts[address] = asyncio.get_running_loop().create_future()
        self.begun.set()
        return await self.attempts[address]

    def race(self, *addresses: Address) -> asyncio.Task[str]:
        return asyncio.create_task(race(addresses, self.attempt, self.discarded.append))

    async def begins(self) -> None:
        self.begun.clear()
        await self.begun.wait()


def test_one_address_is_no_race():
    async def main():
        field = Field()
        racing = field.race(v4(1))
        await field.begins()
        assert len(asyncio.all_tasks()) == 2
        field.attempts[v4(1)].set_result("a")
        assert await racing == "a"

    asyncio.run(main())


def test_the_next_address_after_a_failure_at_once():
    async def main():
        field = Field()
        racing = field.race(v6(1), v4(1))
        await field.begins()
        field.attempts[v6(1)].set_exception(OSError("no route"))
        async with asyncio.timeout(resolve.RACE_DELAY_S / 2):
            await field.begins()
            field.attempts[v4(1)].set_result("b")
            assert await racing == "b"

    asyncio.run(main())


def test_a_silent_address_loses_and_is_cancelled(monkeypatch):
    monkeypatch.setattr(resolve, "RACE_DELAY_S", 0.001)

    async def main():
        field = Field()
        racing = field.race(v6(1), v4(1))
        await field.begins()
        await field.begins()
        field.attempts[v4(1)].set_result("b")
        assert await racing == "b"
        await asyncio.sleep(0)
        assert field.attempts[v6(1)].cancelled()
        assert field.discarded == []

    asyncio.run(main())


def test_of_two_that_succeed_one_is_discarded(monkeypatch):
    monkeypatch.setattr(resolve, "RACE_DELAY_S", 0.001)

    async def main():
        field = Field()
        racing = field.race(v6(1), v4(1))
        await field.begins()
        await field.begins()
        field.attempts[v4(1)].set_result("b")
        field.attempts[v6(1)].set_result("a")
        assert await racing == "a"
        await asyncio.sleep(0)
        assert field.discarded == ["b"]

    asyncio.run(main())


def test_when_all_fail_the_best_address_tells_why():
    async def main():
        field = Field()
        racing = field.race(v6(1), v4(1))
        await field.begins()
        field.attempts[v6(1)].set_exception(ConnectionRefusedError("first"))
        await field.begins()
        field.attempts[v4(1)].set_exception(OSError("second"))
        with pytest.raises(ConnectionRefusedError, match="first"):
            await racing

    asyncio.run(main())


def test_a_cancelled_race_discards_who_has_just_won():
    async def main():
        field = Field()
        racing = field.race(v6(1), v4(1))
        await field.begins()
        field.attempts[v6(1)].set_result("a")
        await asyncio.sleep(0)
        racing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await racing
        await asyncio.sleep(0)
        assert field.discarded == ["a"]

    asyncio.run(main())
