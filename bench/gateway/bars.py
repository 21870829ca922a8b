"""The bars this gateway is held to, and whether a run shows that they are met.

A bar looks at the gateway with accounting on. Where it looks at several pairs of protocols, the
worst of them counts, against the reference in the protocol that the client speaks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bench.gateway.results import Cell, Results, pair_name

GATEWAY = "tollbridge"
MESSAGES, CHAT = "messages", "chat"
PASSED = (MESSAGES, CHAT)
TRANSLATED = (pair_name(MESSAGES, CHAT), pair_name(CHAT, MESSAGES))
DELAY_FLOOR_MS = 0.05
"""Less added delay than this cannot be told from none; it stands for what is below it."""

Measure = Callable[[Results, str, str], float | None]
"""Given the load and the pair; None: something it needs was not measured."""


def client_of(pair: str) -> str:
    """The protocol that the client of a pair speaks, which a plain proxy's pair is named after."""
    return pair.partition(" ")[0]


def _cpu_ratio(target: str) -> Measure:
    """CPU as a multiple of a target's."""

    def measure(results: Results, load: str, pair: str) -> float | None:
        own = results.median(Cell(load, GATEWAY, pair), "cpu_us")
        other = results.median(Cell(load, target, client_of(pair)), "cpu_us")
        return own / other if own is not None and other else None

    return measure


def _times_below(target: str) -> Measure:
    """A target's CPU as a multiple of the gateway's."""

    def measure(results: Results, load: str, pair: str) -> float | None:
        ratio = _cpu_ratio(target)(results, load, pair)
        return 1 / ratio if ratio else None

    return measure


def added(figure: str, target: str = GATEWAY) -> Measure:
    """What a target adds to a figure of nothing in between."""

    def measure(results: Results, load: str, pair: str) -> float | None:
        own = results.median(Cell(load, target, pair), figure)
        without = results.median(Cell(load, "direct", client_of(pair)), figure)
        return own - without if own is not None and without is not None else None

    return measure


def _added_delay_ratio(results: Results, load: str, pair: str) -> float | None:
    """The 99th percentile of the delay of chunks that is added, as a multiple of nginx's."""
    own = added("delay_p99_ms")(results, load, pair)
    other = added("delay_p99_ms", "nginx")(results, load, client_of(pair))
    if own is None or other is None:
        return None
    return max(own, DELAY_FLOOR_MS) / max(other, DELAY_FLOOR_MS)


def _figure(name: str) -> Measure:
    return lambda results, load, pair: results.median(Cell(load, GATEWAY, pair), name)


@dataclass(frozen=True)
class Bar:
    """One line of the table."""

    workload: str
    text: str
    load: str
    pairs: Sequence[str]
    measure: Measure
    limit: float
    at_least: bool = False
    unit: str = "x"


class Verdict(NamedTuple):
    """What a run says of a bar; `met` is None when it was not measured."""

    reached: str
    met: bool | None


ONE_SHOT, SMALL = "one-shot", "one-shot small, 64 connections"
PACED, STREAMS = "paced-200", "paced, 200 streams"
MANY, MANY_STREAMS = "paced-3000", "paced, 3,000 streams, one worker"
BURST, AT_ONCE = "burst", "100 chunks at once, 32 connections"
PASSING, TRANSLATING = "passed through: ", "translated, both ways: "

BARS = (
    Bar(SMALL, PASSING + "CPU at most 1.1 x Caddy's", ONE_SHOT, PASSED, _cpu_ratio("caddy"), 1.1),
    Bar(SMALL, PASSING + "CPU below SMG's", ONE_SHOT, (CHAT,), _cpu_ratio("smg"), 1.0),
    Bar(SMALL, PASSING + "CPU at least 60 x below LiteLLM's", ONE_SHOT, (CHAT,),
        _times_below("litellm"), 60, at_least=True),
    Bar(SMALL, TRANSLATING + "CPU at most 1.4 x passed through", ONE_SHOT, TRANSLATED,
        _cpu_ratio(GATEWAY), 1.4),
    Bar(STREAMS, PASSING + "CPU at most 1.8 x nginx's", PACED, PASSED, _cpu_ratio("nginx"), 1.8),
    Bar(STREAMS, PASSING + "CPU below Caddy's", PACED, PASSED, _cpu_ratio("caddy"), 1.0),
    Bar(STREAMS, PASSING + "CPU below SMG's", PACED, (CHAT,), _cpu_ratio("smg"), 1.0),
    Bar(STREAMS, PASSING + "CPU at least 25 x below LiteLLM's", PACED, (CHAT,),
        _times_below("litellm"), 25, at_least=True),
    Bar(STREAMS, TRANSLATING + "CPU at most 2.1 x nginx's", PACED, TRANSLATED,
        _cpu_ratio("nginx"), 2.1),
    Bar(AT_ONCE, PASSING + "CPU at most 2 x nginx's", BURST, PASSED, _cpu_ratio("nginx"), 2.0),
    Bar(AT_ONCE, TRANSLATING + "CPU at most 4 x nginx's", BURST, TRANSLATED,
        _cpu_ratio("nginx"), 4.0),
    Bar(MANY_STREAMS, "all complete", MANY, PASSED, _figure("complete"), 1.0, at_least=True,
        unit="of 1"),
    Bar(MANY_STREAMS, "CPU at most 1.8 x nginx's", MANY, PASSED, _cpu_ratio("nginx"), 1.8),
    Bar(MANY_STREAMS, "added delay, 99th percentile, at most 2 x nginx's", MANY, PASSED,
        _added_delay_ratio, 2.0),
    Bar(MANY_STREAMS, "at most 40 kB for an open stream", MANY, PASSED, _figure("stream_kb"), 40,
        unit="kB"),
    Bar("60 kB bodies", PASSING + "CPU at most 1.1 x Caddy's", "body-60k", PASSED,
        _cpu_ratio("caddy"), 1.1),
    Bar("1 MB bodies", PASSING + "CPU at most 2 x Caddy's", "body-1m", PASSED,
        _cpu_ratio("caddy"), 2.0),
    Bar("one connection, no load", "first token at most 1 ms later than direct, median",
        "first-token", PASSED + TRANSLATED, added("first_word_p50_ms"), 1.0, unit="ms"),
    Bar("start", "listening within 1 s", ONE_SHOT, PASSED, _figure("start_s"), 1.0, unit="s"),
    Bar("idle", "at most 80 MB with one worker", ONE_SHOT, PASSED, _figure("idle_mb"), 80,
        unit="MB"),
)  # fmt: skip


def verdict(bar: Bar, results: Results) -> Verdict:
    """What a run says of a bar: a measurement that failed does not meet it."""
    failed = [pair for pair in bar.pairs if Cell(bar.load, GATEWAY, pair) in results.failures]
    if failed:
        return Verdict(f"failed: {', '.join(failed)}", met=False)
    values = [bar.measure(results, bar.load, pair) for pair in bar.pairs]
    reached = [value for value in values if value is not None]
    if not reached:
        return Verdict("-", met=None)
    worst = min(reached) if bar.at_least else max(reached)
    met = worst >= bar.limit if bar.at_least else worst <= bar.limit
    return Verdict(f"{worst:.2f} {bar.unit}", met=met)
