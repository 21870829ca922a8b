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
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.gateway import loads
from bench.gateway.client import Tally, WrongAnswerError
from bench.gateway.loads import LOADS, Effort, Load, OverwhelmedError
from bench.gateway.processes import ROOT, behind_ms, fake_upstream
from bench.gateway.report import report
from bench.gateway.results import Cell, Figures, Results, pair_name
from bench.gateway.selection import FULL, QUICK, STANDARD, TARGETS
from bench.gateway.targets import NotInstalledError, Pair, Running, Target, started

RESULTS_FILE = ROOT / "bench" / "RESULTS.md"
BEHIND_MAX_MS = 50
"""An upstream that is later than this was starved: the machine was too busy."""
FAILURES = (
    WrongAnswerError,
    OverwhelmedError,
    subprocess.SubprocessError,
    RuntimeError,
    OSError,
    ValueError,
)
"""What a target can do wrong; the others are still measured."""


@dataclass(frozen=True)
class Bench:
    """Where a run measures, and what it has found so far."""

    upstream: str
    folder: Path
    effort: Effort
    results: Results

    def put_through(self, load: Load, target: Target, pairs: Sequence[Pair]) -> None:
        """One load on one fresh target; what goes wrong is a result too."""
        pair = pairs[0]
        try:
            with started(target, self.upstream, self.folder) as running:
                if load.stream and running.share < 1:
                    share = f"{running.share:.0%} of the streams of a load"
                    self.results.note(f"{target.name} is given {share}")
                idle_mb = running.memory_kb() * 1.024 / 1000
                for pair in pairs:
                    figures = self._measure(load, target, pair, running)
                    if pair == pairs[0]:
                        figures |= {"start_s": running.start_s, "idle_mb": idle_mb}
                    self.results.add(Cell(load.name, target.name, pair_name(*pair)), figures)
            self.results.transfers += sum(running.audited)
        except FAILURES as error:
            self.results.fail(Cell(load.name, target.name, pair_name(*pair)), error)

    def _measure(self, load: Load, target: Target, pair: Pair, running: Running) -> Figures:
        cell = Cell(load.name, target.name, pair_name(*pair))
        print(f"  {cell}", file=sys.stderr)
        client, model = pair
        tally = Tally()
        behind_ms(self.upstream)
        figures = loads.run(load, running, client, model, self.effort, tally)
        late_ms = behind_ms(self.upstream)
        if tally.problems:
            lost = f"{len(tally.problems)} streams were lost; the first"
            self.results.note(f"{cell}: {lost}: {tally.problems[0][:300]}")
        if late_ms > BEHIND_MAX_MS and load.kind != "overload":
            self.results.note(f"{cell}: the upstream was {late_ms} ms late; too busy to judge")
        return figures


def main() -> int:
    """Measure what is asked for; the status says whether every measurement came off."""
    options = _options()
    selection = QUICK if options.quick else FULL if options.full else STANDARD
    selection = selection.narrowed(options.load)
    results = Results(" ".join(sys.argv[1:]), _today(), _machine())
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    absent = _note_versions(results, options.only)
    with tempfile.TemporaryDirectory() as name, fake_upstream(Path(name)) as upstream:
        bench = Bench(upstream, Path(name), selection.effort, results)
        try:
            for index in range(options.rounds or selection.rounds):
                print(f"Round {index + 1}", file=sys.stderr)
                for load, target, pairs in selection.cells(options.only):
                    if target.name not in absent:
                        bench.put_through(load, target, pairs)
                if options.json:
                    options.json.write_text(json.dumps(results.as_json(), indent=1))
        except KeyboardInterrupt:
            results.note("The run was interrupted: the last round is not whole.")
    text = report(results)
    print(text)
    if options.write:
        RESULTS_FILE.write_text(text)
    return bool(results.failures)


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


def _today() -> str:
    return datetime.datetime.now(tz=datetime.UTC).date().isoformat()


def _machine() -> str:
    """What the figures are measured on."""
    models: list[str] = []
    with contextlib.suppress(OSError):
        models = [
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ]
    cpu = models[0] if models else platform.machine()
    return f"{os.cpu_count()} cores ({cpu}), Python {platform.python_version()}"


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
