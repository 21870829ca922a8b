"""A simulation of many replicas and environments on shards: where the ledger's limit is.

Usage: python -m bench.scale [--replicas 1000] [--environments 1000000] [--shards 64] [--spread 2]
                             [--requests 40000]

Discrete events, seeded. Each exchange sends two commands to its environment's shard: the admission
and the settlement. A load balancer sends an environment's requests to `--spread` replicas (0: any).
A replica gathers what comes for an environment while a transaction of its own is under way for it.
A shard serves transactions on its cores; those of one environment commit one after the other, and
one that met another has to read and decide again. Environments are drawn from a Zipf distribution,
so that a few are hot, up to a limit. The first parameters are what `bench.accounting` measures.
"""

import argparse
import heapq
import itertools
import random
from bisect import bisect
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

TRANSACTION_US = 300.0
"""Server CPU of a transaction with one command: reading, then writing."""
COMMAND_US = 10.0
"""Server CPU of each further command for the same environment."""
ENVIRONMENT_US = 60.0
"""Server CPU of each further environment."""
COMMANDS_MAX = 64
IN_FLIGHT_MAX = 2
"""Transactions of one replica at one shard."""

COMMIT_MS = 1.0
"""Until the log is on the disk and on the standby; the environment waits, the cores do not."""
NETWORK_MS = 1.0
"""Two round trips between replica and shard."""
CORES = 16
"""Of one shard's server."""
ZIPF = 1.0
"""Exponent of the environments' popularity."""
HOTTEST_PER_S = 2_000.0
"""Requests per second that one environment is limited to."""
RANKS = 100_000
"""So many environments have a rank of their own; the rest share what is left evenly."""


class Batch(NamedTuple):
    line: tuple[int, int]
    commands: list[tuple[float, int]]
    """When each arrived, and its environment."""


class Result(NamedTuple):
    busy: float
    busiest: float
    median_ms: float
    p99_ms: float
    hottest_per_s: float
    hottest_p99_ms: float
    together: float
    again: float


def popularity(environments: int, most: float) -> list[float]:
    """Cumulated shares of the ranks, each `most` at most; the last one stands for all others."""
    ranked = min(RANKS, environments)
    weights = [1 / rank**ZIPF for rank in range(1, ranked + 1)]
    total = sum(weights) + sum(1 / rank**ZIPF for rank in range(ranked + 1, environments + 1))
    shares = [min(weight / total, most) for weight in weights]
    return list(itertools.accumulate([*shares, 1 - sum(shares)]))


class Simulation:
    """One load on one deployment."""

    def __init__(
        self, replicas: int, environments: int, shards: int, spread: int, seed: int
    ) -> None:
        self.dice = random.Random(seed)
        self.replicas, self.environments, self.shards = replicas, environments, shards
        self.spread = spread or replicas
        self.cores = [[0.0] * CORES for _ in range(shards)]
        self.busy_s = [0.0] * shards
        self.free_at: dict[int, float] = defaultdict(float)
        """When the last commit of an environment is done."""
        self.queues: dict[tuple[int, int], dict[int, list[float]]] = defaultdict(dict)
        """By replica and shard: what waits for each environment, in order of arrival."""
        self.under_way: dict[tuple[int, int], set[int]] = defaultdict(set)
        self.in_flight: dict[tuple[int, int], int] = defaultdict(int)
        self.ends: list[tuple[float, int, Batch]] = []
        self.waits: list[tuple[float, float, int]] = []
        self.transactions = self.commands = self.again = 0

    def run(self, rate: float, requests: int) -> Result:
        """Serve that many requests at `rate` per second."""
        seconds = requests / rate
        for at, environment in self._arrivals(rate, seconds):
            self._finish_until(at)
            place = environment * 2_654_435_761
            replica = (place // self.shards + self.dice.randrange(self.spread)) % self.replicas
            line = (replica, place % self.shards)
            self.queues[line].setdefault(environment, []).append(at)
            self._send(line, at)
        self._finish_until(float("inf"))
        warm = [wait for wait in self.waits if seconds / 4 <= wait[0]]
        all_ms = sorted(wait * 1000 for _, wait, _ in warm)
        hottest = sorted(wait * 1000 for _, wait, environment in warm if environment == 0)
        busy = [cpu / (seconds * CORES) for cpu in self.busy_s]
        return Result(
            sum(busy) / len(busy), max(busy),
            all_ms[len(all_ms) // 2], all_ms[len(all_ms) * 99 // 100],
            len(hottest) / (seconds * 0.75) / 2, hottest[len(hottest) * 99 // 100],
            self.commands / self.transactions, self.again / self.transactions,
        )  # fmt: skip

    def _arrivals(self, rate: float, seconds: float) -> Iterator[tuple[float, int]]:
        shares = popularity(self.environments, HOTTEST_PER_S / rate)
        ranked = len(shares) - 1
        at = 0.0
        while (at := at + self.dice.expovariate(2 * rate)) < seconds:
            rank = bisect(shares, self.dice.random())
            yield at, rank if rank < ranked else self.dice.randrange(ranked, self.environments + 1)

    def _send(self, line: tuple[int, int], now: float) -> None:
        queue, under_way = self.queues[line], self.under_way[line]
        while self.in_flight[line] < IN_FLIGHT_MAX:
            commands: list[tuple[float, int]] = []
            for environment in [e for e in queue if e not in under_way]:
                waiting = queue.pop(environment)
                room = COMMANDS_MAX - len(commands)
                commands += [(at, environment) for at in waiting[:room]]
                if waiting[room:]:
                    queue[environment] = waiting[room:]
                if len(commands) == COMMANDS_MAX:
                    break
            if not commands:
                return
            under_way.update(environment for _, environment in commands)
            self.in_flight[line] += 1
            self._serve(Batch(line, commands), now + NETWORK_MS / 2000)

    def _serve(self, batch: Batch, arrived: float) -> None:
        shard = batch.line[1]
        environments = {environment for _, environment in batch.commands}
        cost = TRANSACTION_US + ENVIRONMENT_US * (len(environments) - 1)
        cost += COMMAND_US * (len(batch.commands) - len(environments))
        begin = max(arrived, heapq.heappop(self.cores[shard]))
        met_at = max(self.free_at[environment] for environment in environments)
        if met_at > begin:
            # It read what another was about to change: it waits for that, and does its work again.
            self.again += 1
            cost *= 2
        done = begin + cost / 1e6
        self.busy_s[shard] += cost / 1e6
        heapq.heappush(self.cores[shard], done)
        committed = max(done, met_at) + COMMIT_MS / 1000
        for environment in environments:
            self.free_at[environment] = committed
        heapq.heappush(self.ends, (committed + NETWORK_MS / 2000, self.transactions, batch))
        self.transactions += 1
        self.commands += len(batch.commands)

    def _finish_until(self, now: float) -> None:
        while self.ends and self.ends[0][0] <= now:
            at, _, batch = heapq.heappop(self.ends)
            self.waits += [(since, at - since, env) for since, env in batch.commands]
            self.in_flight[batch.line] -= 1
            self.under_way[batch.line].difference_update(env for _, env in batch.commands)
            self._send(batch.line, at)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replicas", type=int, default=1_000)
    parser.add_argument("--environments", type=int, default=1_000_000)
    parser.add_argument("--shards", type=int, default=64)
    parser.add_argument("--spread", type=int, default=2)
    parser.add_argument("--requests", type=int, default=40_000)
    given = parser.parse_args()
    alone = given.shards * CORES / (2 * TRANSACTION_US / 1e6)
    print(
        f"{given.replicas:,} replicas, {given.environments:,} environments, {given.shards} shards"
        f" of {CORES} cores. If every command were a transaction, they would bear"
        f" {alone:,.0f} requests/s. An environment is served by {given.spread or 'any'} replicas."
    )
    print("requests/s  busy mean  busy max  median ms   p99 ms  hottest requests/s  its p99 ms"
          "  commands/transaction  done again")  # fmt: skip
    for share in (0.01, 0.1, 0.25, 0.5, 0.75, 0.9):
        rate = alone * share
        simulation = Simulation(given.replicas, given.environments, given.shards, given.spread, 1)
        r = simulation.run(rate, given.requests)
        print(
            f"{rate:>10,.0f}  {r.busy:>9.0%}  {r.busiest:>8.0%}  {r.median_ms:>9.1f}"
            f"  {r.p99_ms:>7.1f}  {r.hottest_per_s:>18,.0f}  {r.hottest_p99_ms:>10.1f}"
            f"  {r.together:>20.2f}  {r.again:>10.1%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
