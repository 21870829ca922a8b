"""What is known of the database between transactions, as long as nobody else writes to it.

Most of what a command would read was written by this process a moment ago. A batch takes what is
known, changes it as it decides, and only a batch that was committed leaves it to the next one.
Whoever starts a batch drops it if another process wrote meanwhile.
"""

from dataclasses import dataclass, field

import msgspec

from tollbridge.ledger.limits import Window
from tollbridge.ledger.model import Budget, Leg, Pack
from tollbridge.units import ENTRIES_MAX, EnvId, KeyId, Millis, PackId, RequestId

Counted = tuple[EnvId, KeyId]
"""A key, or with an empty key the environment as a whole."""


class OpenHold(msgspec.Struct, frozen=True, gc=False):
    """What the end of an exchange has to know of its beginning."""

    legs: tuple[Leg, ...]
    key_id: KeyId
    started_at: Millis
    window_tokens: int
    budgeted: bool
    seq: int
    """Of the transfer of the first leg; 0 if there is none."""


@dataclass(slots=True)
class Memory:
    """Nothing here needs to be complete; what is here is true."""

    generations: dict[EnvId, int | None] = field(default_factory=dict)
    packs: dict[EnvId, dict[PackId, Pack]] = field(default_factory=dict)
    """Of an environment all packs that are live, or none."""
    holds: dict[tuple[EnvId, RequestId], OpenHold] = field(default_factory=dict)
    under_way: dict[Counted, int] = field(default_factory=dict)
    windows: dict[Counted, Window | None] = field(default_factory=dict)
    budgets: dict[Counted, Budget | None] = field(default_factory=dict)

    @property
    def is_full(self) -> bool:
        """Whether it has to be dropped."""
        counted = len(self.windows) + len(self.budgets) + len(self.under_way)
        return len(self.generations) + counted > ENTRIES_MAX
