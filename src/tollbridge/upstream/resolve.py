"""From a name to the addresses behind it, and which of them to take."""

import asyncio
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from itertools import chain, zip_longest
from typing import NamedTuple, TypeVar

T = TypeVar("T")

RACE_DELAY_S = 0.25
"""How long an address may keep the next one waiting (RFC 8305, section 5)."""


class Address(NamedTuple):
    """An address in text."""

    family: int
    host: str


Lookup = Callable[[str], Awaitable[Sequence[Address]]]
"""The addresses of a name, best first. Raises `OSError` when it has none."""


async def system_lookup(name: str) -> list[Address]:
    """As the operating system does it, in a thread of the loop's: uvloop has two for this."""
    found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return [Address(family, str(place[0])) for family, _, _, _, place in found]


def lookup_in(threads: Executor) -> Lookup:
    """As `system_lookup` does it, but in these threads, which names that nobody answers for hold
    for as long as it takes the operating system to give up."""

    async def look_up(name: str) -> list[Address]:
        ask = partial(socket.getaddrinfo, name, None, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(threads, ask)
        return [Address(family, str(place[0])) for family, _, _, _, place in found]

    return look_up


class Resolver:
    """Looks one host up for each new connection, and remembers nothing: a server that moves is
    found. Lookups at the same time share one, so that a name server that does not answer holds
    one of the loop's few threads for each host, and not one for each request."""

    def __init__(self, host: str, lookup: Lookup = system_lookup) -> None:
        self._host = host
        self._lookup = lookup
        self._literal = literal(host)
        self._running: asyncio.Future[Sequence[Address]] | None = None

    async def addresses(self) -> Sequence[Address]:
        """In the order in which to try them.

        Raises:
            OSError: the name has none.
        """
        if self._literal is not None:
            return [self._literal]
        running = self._running
        if running is None:
            running = self._running = asyncio.ensure_future(self._lookup(self._host))
            running.add_done_callback(self._on_done)
        # Whoever gives up leaves the others their lookup.
        found = interleave(await asyncio.shield(running))
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        return found

    def _on_done(self, running: asyncio.Future[Sequence[Address]]) -> None:
        self._running = None
        if not running.cancelled():
            running.exception()  # looked at, also when everybody has given up


def literal(host: str) -> Address | None:
    """The address that this text is; None: a name, or an address with a zone."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return Address(family, host)
    return None


def interleave(addresses: Sequence[Address]) -> list[Address]:
    """The families by turns, the first address first: when one does not work at all, the second
    attempt finds out (RFC 8305, section 4)."""
    first = [address for address in addresses if address.family == addresses[0].family]
    other = [address for address in addresses if address.family != addresses[0].family]
    pairs = chain.from_iterable(zip_longest(first, other))
    return [address for address in pairs if address is not None]


async def race(
    addresses: Sequence[Address],
    attempt: Callable[[Address], Awaitable[T]],
    discard: Callable[[T], None],
) -> T:
    """What the first attempt that succeeds gives. The next one begins when one has failed, or has
    taken `RACE_DELAY_S`; losers are cancelled, and `discard` gets what they gave all the same.

    Raises:
        OSError: all have failed; the error of the best address.
    """
    if len(addresses) == 1:
        return await attempt(addresses[0])
    line = deque(addresses)
    attempts: list[asyncio.Future[T]] = []
    winner: asyncio.Future[T] | None = None

    def lost(loser: asyncio.Future[T]) -> None:
        if _succeeded(loser):
            discard(loser.result())

    try:
        while winner is None:
            running = [each for each in attempts if not each.done()]
            if line:
                running.append(asyncio.ensure_future(attempt(line.popleft())))
                attempts.append(running[-1])
            elif not running:
                break
            await asyncio.wait(
                running,
                timeout=RACE_DELAY_S if line else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            winner = next((each for each in attempts if _succeeded(each)), None)
    finally:
        for each in attempts:
            if each is not winner:
                each.cancel()
                each.add_done_callback(lost)
    return (winner or attempts[0]).result()


def _succeeded(attempt: asyncio.Future[T]) -> bool:
    return attempt.done() and not attempt.cancelled() and attempt.exception() is None
