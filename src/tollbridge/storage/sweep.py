"""What the sweeper has to do: holds of dead workers, packs whose validity ended."""

from typing import NamedTuple

from tollbridge.storage.session import Session
from tollbridge.units import EnvId, Millis, PackId, RequestId


class Due(NamedTuple):
    """Each entry is a command of its own that looks again, so that sweepers do not get in each
    other's way, and one hold that cannot be recovered does not keep the others from it.
    """

    holds: list[tuple[EnvId, RequestId]]
    packs: list[tuple[EnvId, PackId]]
    has_dead_workers: bool


def due(session: Session, now: Millis) -> Due:
    """What is due at this moment."""
    return Due(
        holds=[(env_id, request_id) for env_id, request_id in session.rows("dead_holds", now)],
        packs=[(env_id, pack_id) for env_id, pack_id in session.rows("overdue_packs", now)],
        has_dead_workers=session.row("dead_workers", now) is not None,
    )
