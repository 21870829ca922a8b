"""What the gateway costs, beside plain reverse proxies and other gateways, in one run.

`python -m bench.run [--quick | --full] [--only TARGET] [--load NAME] [--json FILE] [--write]`:
the bars with what was reached, then every figure. The load generator, the fake upstream and the
thing measured are processes of their own; only the last one's user and system time counts. Every
measurement starts its target afresh; within a round the targets take turns at each load, so that a
machine that drifts is unfair to none. Absolute figures drift; compare the ratios of one run.
"""

import argparse
import contextlib
import datetime
import json
import os
import platform
import resource
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.gateway import loads
from bench.gateway.client import Tally, WrongAnswerError
from bench.gateway.loads import LOADS, Effort, Load
from bench.gateway.processes import ROOT, behind_ms, fake_upstream
from bench.gateway.proxies import PROXIES
from bench.gateway.report import report
from bench.gateway.results import Cell, Results, pair_name
from bench.gateway.targets import OWN, NotInstalledError, Pair, Target, started

TARGETS = {target.name: target for target in (OWN[0], *PROXIES, *OWN[1:])}
RESULTS_FILE = ROOT / "bench" / "RESULTS.md"
BEHIND_MAX_MS = 50
"""An upstream that is later than this was starved: the machine was too busy."""

MESSAGES: Pair = ("messages", "messages")
CHAT: Pair = ("chat", "chat")
MESSAGES_ON_CHAT: Pair = ("messages", "chat")
CHAT_ON_MESSAGES: Pair = ("chat", "messages")
ALL: tuple[Pair, ...] = (MESSAGES, CHAT, MESSAGES_ON_CHAT, CHAT_ON_MESSAGES)


@dataclass(frozen=True)
class Selection:
    """What is measured, and how long: pairs and targets for each load."""

    rounds: int
    effort: Effort
    pairs: dict[str, tuple[Pair, ...]]
    targets: dict[str, tuple[str, ...]]
    """Of loads that not all targets are put through."""

    def cells(self, load: Load, only: Sequence[str]) -> Iterator[tuple[Target, tuple[Pair, ...]]]:
        """The targets of a load, each with the pairs it knows."""
        for name in self.targets.get(load.name, tuple(TARGETS)):
            target = TARGETS[name]
            pairs = tuple(pair for pair in self.pairs.get(load.name, ()) if pair in target.pairs)
            wanted = name in (only or TARGETS) and load.name in (target.loads or [load.name])
            if pairs and wanted:
                yield target, pairs


PLAIN = ("direct", "nginx", "caddy", "tollbridge")
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
    effort=Effort(repeat_s=2.0, paced_s=2.5, overload_s=2.0, singles=150),
    pairs={
        "one-shot": ALL,
        "burst": ALL,
        "paced-200": ALL,
        "paced-3000": (MESSAGES,),
        "body-60k": (MESSAGES,),
        "body-1m": (MESSAGES,),
        "first-token": ALL,
    },
    targets={
        "burst": PLAIN,
        "paced-3000": (*PLAIN, "envoy"),
        "body-60k": PLAIN,
        "body-1m": PLAIN,
        "first-token": PLAIN,
    },
)
FULL = Selection(
    rounds=5,
    effort=Effort(repeat_s=2.5, paced_s=3.0, overload_s=3.0, singles=200),
    pairs={load.name: ALL for load in LOADS},
    targets={},
)


def main() -> int:
    """Measure what is asked for; the status says whether every measurement came off."""
    options = _options()
    selection = QUICK if options.quick else FULL if options.full else STANDARD
    chosen = [load for load in LOADS if not options.load or load.name in options.load]
    results = Results(**_machine())
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    absent = _note_versions(results, options.only)
    # A load that was asked for by name is measured, whatever the selection leaves out.
    if options.load:
        everywhere = {load.name: selection.pairs.get(load.name, (MESSAGES,)) for load in chosen}
        selection = Selection(options.rounds or selection.rounds, selection.effort, everywhere, {})
    with tempfile.TemporaryDirectory() as name, fake_upstream(Path(name)) as upstream:
        for index in range(options.rounds or selection.rounds):
            for load in chosen:
                for target, pairs in selection.cells(load, options.only):
                    if target.name not in absent:
                        _measure(
                            target, load, pairs, selection.effort, upstream, Path(name), results
                        )
            print(f"round {index + 1} is done", file=sys.stderr)
    text = report(results)
    print(text)
    if options.json:
        options.json.write_text(json.dumps(results.as_json(), indent=1))
    if options.write:
        RESULTS_FILE.write_text(text)
    return bool(results.failures)


def _measure(
    target: Target,
    load: Load,
    pairs: Sequence[Pair],
    effort: Effort,
    upstream: str,
    folder: Path,
    results: Results,
) -> None:
    """One load on one fresh target; what goes wrong is a result too."""
    pair = pairs[0]
    try:
        with started(target, upstream, folder) as running:
            for index, pair in enumerate(pairs):
                client, model = pair
                cell = Cell(load.name, target.name, pair_name(*pair))
                print(f"  {load.name}: {target.name}, {cell.pair}", file=sys.stderr)
                idle_mb = running.memory_kb() * 1.024 / 1000
                behind_ms(upstream)
                tally = Tally()
                figures = loads.run(load, running, client, model, effort, tally)
                late_ms = behind_ms(upstream)
                if index == 0:
                    figures |= {"start_s": running.start_s, "idle_mb": idle_mb}
                else:
                    # What an earlier load has left is not there to be grown into again.
                    figures.pop("stream_kb", None)
                results.add(cell, figures)
                if tally.problems:
                    lost = f"{len(tally.problems)} streams were lost; the first"
                    results.note(f"{cell}: {lost}: {tally.problems[0][:300]}")
                if late_ms > BEHIND_MAX_MS and load.kind != "overload":
                    results.note(f"{cell}: the upstream was {late_ms} ms late; too busy to judge")
        for what, value in running.facts.items():
            results.facts[f"{what}, {target.name}, {load.name}"] = value
    except (WrongAnswerError, loads.OverwhelmedError, RuntimeError, OSError) as error:
        results.fail(Cell(load.name, target.name, pair_name(*pair)), error)


def _note_versions(results: Results, only: Sequence[str]) -> set[str]:
    """The versions of all targets; returns the names of those that are not here, told loudly."""
    absent: set[str] = set()
    for target in TARGETS.values():
        if only and target.name not in only:
            continue
        try:
            results.versions[target.name] = target.version()
        except NotInstalledError as error:
            absent.add(target.name)
            results.versions[target.name] = f"LEFT OUT: {error}"
            print(f"{'=' * 76}\n  LEFT OUT: {target.name}\n  because:  {error}\n{'=' * 76}",
                  file=sys.stderr)  # fmt: skip
    return absent


def _machine() -> dict[str, str]:
    """What the figures are measured on."""
    models: list[str] = []
    with contextlib.suppress(OSError):
        models = [
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ]
    cpu = models[0] if models else platform.machine()
    return {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores ({cpu}), Python {platform.python_version()}",
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=(__doc__ or "").split("\n")[0])
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="half a minute, coarse")
    size.add_argument("--full", action="store_true", help="medians of five of everything")
    parser.add_argument("--rounds", type=int, help="measure each this often")
    names = [load.name for load in LOADS]
    parser.add_argument("--only", action="append", default=[], choices=TARGETS, help="this target")
    parser.add_argument("--load", action="append", default=[], choices=names, help="this load")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep what every round measured")
    parser.add_argument("--write", action="store_true", help="renew bench/RESULTS.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
