"""Which loads meet which targets in which protocols, and for how long: three sizes of a run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bench.gateway.loads import LOADS, Effort, Load
from bench.gateway.proxies import PROXIES
from bench.gateway.targets import MESSAGES_ON_CHAT, OWN, PASSED, TRANSLATED, Pair, Target

TARGETS = {target.name: target for target in (OWN[0], *PROXIES, *OWN[1:])}
"""In the order in which they take turns."""
MESSAGES: Pair = ("messages", "messages")
ALL = PASSED + TRANSLATED
ONCE_AND_TRANSLATED = (MESSAGES, *TRANSLATED)
"""For loads that take long: what passes is alike in all protocols, what is translated is not."""
ACCOUNTED = tuple(name for name in TARGETS if name != "tollbridge-unaccounted")


@dataclass(frozen=True)
class Selection:
    """What is measured, how often and how long."""

    rounds: int
    effort: Effort
    pairs: dict[str, tuple[Pair, ...]]
    """By load; loads that are not here are left out."""
    targets: dict[str, tuple[str, ...]]
    """Of loads that not all targets are put through."""

    def narrowed(self, names: Sequence[str]) -> "Selection":
        """Only these loads: on every target then, and whether or not they belong to this size."""
        if not names:
            return self
        pairs = {name: self.pairs.get(name, (MESSAGES,)) for name in names}
        return replace(self, pairs=pairs, targets={})

    def cells(self, only: Sequence[str]) -> Iterator[tuple[Load, Target, tuple[Pair, ...]]]:
        """One round: the loads, at each its targets, with the pairs that a fresh start serves."""
        for load in LOADS:
            for name in self.targets.get(load.name, tuple(TARGETS)):
                target = TARGETS[name]
                if only and name not in only:
                    continue
                if target.loads and load.name not in target.loads:
                    continue
                wanted = self.pairs.get(load.name, ())
                pairs = tuple(pair for pair in wanted if pair in target.pairs)
                if load.weighs:
                    yield from ((load, target, (pair,)) for pair in pairs)
                elif pairs:
                    yield load, target, pairs


QUICK = Selection(
    rounds=1,
    effort=Effort(repeat_s=0.7, paced_s=1.0, overload_s=1.0, singles=60),
    pairs={
        "one-shot": (MESSAGES, MESSAGES_ON_CHAT),
        "burst": (MESSAGES,),
        "paced-200": (MESSAGES, MESSAGES_ON_CHAT),
        "body-60k": (MESSAGES,),
        "first-token": (MESSAGES,),
    },
    targets={
        "one-shot": ("nginx", "caddy", "tollbridge"),
        "burst": ("nginx", "tollbridge"),
        "paced-200": ("nginx", "caddy", "tollbridge"),
        "body-60k": ("caddy", "tollbridge"),
        "first-token": ("direct", "tollbridge"),
    },
)
STANDARD = Selection(
    rounds=1,
    effort=Effort(repeat_s=1.5, paced_s=2.0, overload_s=2.0, singles=100),
    pairs={
        "one-shot": ALL,
        "burst": ALL,
        "paced-200": ALL,
        "paced-1000": ONCE_AND_TRANSLATED,
        "paced-3000": ONCE_AND_TRANSLATED,
        "overload": ONCE_AND_TRANSLATED,
        "body-60k": ONCE_AND_TRANSLATED,
        "body-1m": ONCE_AND_TRANSLATED,
        "first-token": ALL,
    },
    targets={
        "burst": ("nginx", "tollbridge"),
        "paced-1000": ("direct", "nginx", "tollbridge"),
        "paced-3000": ("direct", "nginx", "envoy", "tollbridge"),
        "overload": ("nginx", "caddy", "tollbridge"),
        "body-60k": ("caddy", "tollbridge"),
        "body-1m": ("caddy", "tollbridge"),
        "first-token": ("direct", "tollbridge", "vllm-router", "portkey", "claude-code-router"),
    },
)
FULL = Selection(
    rounds=5,
    effort=Effort(repeat_s=2.5, paced_s=3.0, overload_s=3.0, singles=200),
    pairs={load.name: ALL for load in LOADS} | {"overload": ONCE_AND_TRANSLATED},
    targets={
        "paced-1000": ACCOUNTED,
        "paced-3000": ACCOUNTED,
        "overload": ACCOUNTED,
        "body-60k": ACCOUNTED,
        "body-1m": ACCOUNTED,
    },
)
