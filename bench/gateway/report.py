"""The tables that a run prints: the bars first, then every figure."""

from collections.abc import Sequence

from bench.gateway.bars import BARS, added, verdict
from bench.gateway.loads import LOADS, Load
from bench.gateway.results import Cell, Results

HEADER = """# Results

`make bench ARGS="{options}"`, {date}, on {machine}. Medians of {rounds}.
CPU is user and system time of the measured process tree; memory is its PSS. The answers of every
load were checked whole. `direct` has nothing in between: `+` is the difference to it. The delay of
a chunk runs from the upstream's writing it to its arrival at the client.
"""


def report(results: Results) -> str:
    """As Markdown."""
    counts = [len(values) for figures in results.rounds.values() for values in figures.values()]
    rounds = f"{min(counts)} to {max(counts)} rounds" if counts else "no rounds"
    parts = [HEADER.format(**vars(results) | {"rounds": rounds})]
    parts.append(f"## Bars\n\n{_bars(results)}")
    for load in LOADS:
        cells = [cell for cell in results.rounds if cell.load == load.name]
        if cells:
            parts.append(f"## {load.title} (`{load.name}`)\n\n{_figures(results, load, cells)}")
    versions = [f"- {name}: {version}" for name, version in results.versions.items()]
    parts.append("## Versions\n\n" + "\n".join(versions))
    said = [f"- {cell}: FAILED: {reason}" for cell, reasons in results.failures.items()
            for reason in reasons]  # fmt: skip
    said += [f"- {note}" for note in results.notes]
    said.append(f"- The ledger was audited after every load: {results.transfers} transfers in all,"
                " no difference.")  # fmt: skip
    parts.append("## Notes\n\n" + "\n".join(said))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _bars(results: Results) -> str:
    rows = []
    for bar in BARS:
        judged = verdict(bar, results)
        met = {True: "yes", False: "**no**", None: "not measured"}[judged.met]
        rows.append((bar.workload, bar.text, judged.reached, met))
    return table(("workload", "bar", "reached", "met"), rows)


COLUMNS: tuple[tuple[str, str, int], ...] = (
    # figure, title, decimals; a plus stands for what is added to nothing in between
    ("cpu_us", "CPU us/{unit}", 1),
    ("rate", "{unit}s/s", 0),
    ("latency_p50_ms", "answer p50 ms", 2),
    ("latency_p99_ms", "p99", 2),
    ("complete", "complete", 3),
    ("refused", "refused", 3),
    ("broken", "broken", 3),
    ("delay_p50_ms", "chunk delay p50 ms", 2),
    ("+delay_p50_ms", "+ p50", 2),
    ("delay_p99_ms", "p99", 2),
    ("+delay_p99_ms", "+ p99", 2),
    ("first_word_p50_ms", "first word p50 ms", 2),
    ("+first_word_p50_ms", "+ p50", 2),
    ("first_word_p99_ms", "p99", 2),
    ("stream_kb", "kB/stream", 1),
    ("idle_mb", "idle MB", 1),
    ("start_s", "start s", 2),
)


def _figures(results: Results, load: Load, cells: list[Cell]) -> str:
    names = {name for cell in cells for name in results.rounds[cell]}
    columns = [column for column in COLUMNS if column[0].lstrip("+") in names]
    titles = ("target", "pair", *(title.format(unit=load.unit) for _, title, _ in columns))
    rows = [
        (cell.target, cell.pair, *(_number(_value(results, cell, name), places)
                                   for name, _, places in columns))
        for cell in cells
    ]  # fmt: skip
    return table(titles, rows)


def _value(results: Results, cell: Cell, name: str) -> float | None:
    if not name.startswith("+"):
        return results.median(cell, name)
    return added(name[1:], cell.target)(results, cell.load, cell.pair)


def _number(value: float | None, places: int) -> str:
    return "-" if value is None else f"{value:.{places}f}"


def table(titles: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """In Markdown."""
    lines = [titles, ("---",) * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
