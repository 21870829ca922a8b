"""What was measured: figures by name for each cell, one value a round, and their medians."""

import statistics
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

Figures = dict[str, float]
"""What one round measured in a cell, by name; the unit is the name's last word."""


class Cell(NamedTuple):
    """One load on one target, in the protocols of its two sides."""

    load: str
    target: str
    pair: str = "messages"

    def __str__(self) -> str:
        return f"{self.load}, {self.target}, {self.pair}"


def pair_name(client: str, upstream: str) -> str:
    """How a pair of protocols is written."""
    return client if client == upstream else f"{client} on {upstream}"


@dataclass
class Results:
    """Of one run."""

    options: str
    """Of the command."""
    date: str
    machine: str
    versions: dict[str, str] = field(default_factory=dict)
    rounds: dict[Cell, dict[str, list[float]]] = field(default_factory=dict)
    failures: dict[Cell, list[str]] = field(default_factory=dict)
    """Measurements that gave no figure, each with the reason."""
    transfers: int = 0
    """On the gateway's ledgers, all of them audited."""
    notes: list[str] = field(default_factory=list)

    def add(self, cell: Cell, figures: Figures) -> None:
        """What one round measured."""
        values = self.rounds.setdefault(cell, {})
        for name, value in figures.items():
            values.setdefault(name, []).append(value)

    def fail(self, cell: Cell, error: Exception) -> None:
        """A round that came to nothing."""
        self.failures.setdefault(cell, []).append(f"{type(error).__name__}: {error}"[-600:])

    def note(self, text: str) -> None:
        """Something that whoever reads the figures must know; once is enough."""
        if text not in self.notes:
            self.notes.append(text)

    def median(self, cell: Cell, name: str) -> float | None:
        """Of all rounds; None: this was not measured."""
        values = self.rounds.get(cell, {}).get(name)
        return statistics.median(values) if values else None

    def as_json(self) -> dict[str, object]:
        """Everything, for a file."""
        flat = asdict(self)
        flat["rounds"] = [{**cell._asdict(), **values} for cell, values in self.rounds.items()]
        flat["failures"] = [
            {**cell._asdict(), "reasons": reasons} for cell, reasons in self.failures.items()
        ]
        return flat
