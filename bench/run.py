"""CPU per request and per streamed chunk of the gateway, beside nginx and Caddy as plain proxies.

`python -m bench.run [--quick] [--write]`: one table on standard output; `--write` also renews
`bench/RESULTS.md`. The load generator, the fake upstreams and the thing measured are processes of
their own, and only the last one's user and system time counts. Absolute figures drift with the
machine; compare the ratios of one run.
"""

import argparse
import contextlib
import os
import platform
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import uvloop
from bench.gateway import loads
from bench.gateway.loads import Kind, Protocol, Result, request_for
from bench.gateway.processes import ROOT, fake
from bench.gateway.targets import Target, caddy, nginx, tollbridge

T = TypeVar("T")
KINDS: tuple[Kind, ...] = ("one-shot", "paced", "burst")
RESULTS = ROOT / "bench" / "RESULTS.md"


@dataclass(frozen=True)
class Row:
    """One target and pair: a result for each load."""

    target: str
    pair: str
    results: dict[Kind, Result]
    first_token_ms: float


@dataclass(frozen=True)
class Effort:
    """How long to look."""

    seconds: float
    paced_chunks: int
    pairs: tuple[tuple[Protocol, Protocol], ...]


QUICK = Effort(0.6, 120, (("messages", "messages"), ("messages", "chat")))
FULL = Effort(2.5, 200, (*QUICK.pairs, ("chat", "chat"), ("chat", "messages")))


def run(coroutine: Coroutine[None, None, T]) -> T:
    """Each load gets a loop of its own."""
    return uvloop.run(coroutine)


def measure(target: Target, client: Protocol, model: str, pair: str, effort: Effort) -> Row:
    """All loads on one target."""

    def request(kind: Kind, chunks: int) -> loads.Request:
        return request_for(target.base_url, target.key, model, client, kind=kind, chunks=chunks)

    results: dict[Kind, Result] = {
        "one-shot": run(
            loads.repeat(request("one-shot", 8), loads.CONNECTIONS, effort.seconds, target.cpu)
        ),
        "paced": run(
            loads.pace(request("paced", effort.paced_chunks), loads.PACED_STREAMS, target.cpu)
        ),
        "burst": run(
            loads.repeat(
                request("burst", loads.BURST_CHUNKS),
                loads.BURST_CONNECTIONS,
                effort.seconds,
                target.cpu,
            )
        ),
    }
    return Row(target.name, pair, results, run(loads.first_token_ms(request("burst", 4))))


def table(rows: list[Row]) -> str:
    """One line per target and pair, with ratios to the plain proxies where they ran."""
    names = (
        "target", "pair", "us/request", "us/paced chunk", "us/burst chunk", "/ nginx", "/ Caddy",
        "requests/s", "chunks/s in bursts", "first token ms", "one-shot p50, p99 ms",
    )  # fmt: skip
    lines = [f"| {' | '.join(names)} |", "| --- " * len(names) + "|"]
    plain = {row.target: row for row in rows if row.target in ("nginx", "caddy")}
    for row in rows:
        measured = row.target != "direct"
        cpu = [f"{row.results[kind].cpu_us:.1f}" if measured else "-" for kind in KINDS]
        ratios = [
            ", ".join(
                f"{row.results[kind].cpu_us / plain[name].results[kind].cpu_us:.2f}"
                for kind in KINDS
            )
            if name in plain and measured
            else "-"
            for name in ("nginx", "caddy")
        ]
        one_shot, burst = row.results["one-shot"], row.results["burst"]
        cells = [
            row.target, row.pair, *cpu, *ratios, f"{one_shot.rate:.0f}", f"{burst.rate:.0f}",
            f"{row.first_token_ms:.2f}", f"{one_shot.p50_ms:.1f}, {one_shot.p99_ms:.1f}",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure everything that is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="20 seconds, coarse")
    parser.add_argument("--write", action="store_true", help="renew bench/RESULTS.md")
    parser.add_argument("--only", choices=("direct", "nginx", "caddy", "tollbridge"))
    options = parser.parse_args()
    effort = QUICK if options.quick else FULL
    rows: list[Row] = []
    notes: list[str] = []
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        fakes = {
            protocol: stack.enter_context(fake(protocol, folder))
            for protocol in ("messages", "chat")
        }
        plain = fakes["messages"]

        def wanted(target: str) -> bool:
            return options.only in (None, target)

        if wanted("direct"):
            direct = Target("direct", plain)
            rows.append(measure(direct, "messages", "messages", "messages", effort))
        for label, proxy in (("nginx", nginx), ("caddy", caddy)):
            if not wanted(label):
                continue
            with proxy(plain, folder) as target:
                if target is None:
                    notes.append(f"{label} is not installed: no ratios to it")
                    continue
                rows.append(measure(target, "messages", "messages", "messages", effort))
        if wanted("tollbridge"):
            with tollbridge(fakes, folder) as target:
                for client, upstream in effort.pairs:
                    pair = client if client == upstream else f"{client} to {upstream}"
                    rows.append(measure(target, client, upstream, pair, effort))
            notes += [f"{what}: {value}" for what, value in target.facts.items()]
    text = f"{table(rows)}\n\n" + "".join(f"- {note}\n" for note in notes)
    print(text)
    if options.write:
        RESULTS.write_text(f"{HEADER.format(**machine())}\n{text}")


HEADER = """# Results

`make bench ARGS=--write` on {cores} cores ({cpu}), Python {python}. CPU is user and system time of
the measured process and all its children, in microseconds. `direct` has nothing in between. Loads:
small one-shot answers on 64 connections; 200 streams with a chunk each 20 ms; streams of 100 chunks
at once. `/ nginx` and `/ Caddy` are the ratios of the three CPU columns to a plain reverse proxy's.
"""


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    cpu = models[0] if models else platform.machine()
    return {"cores": str(os.cpu_count()), "cpu": cpu, "python": platform.python_version()}


if __name__ == "__main__":
    main()
