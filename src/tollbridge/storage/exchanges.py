"""The two commands of every exchange, on SQLite.

They stand apart from the store because they are compiled, and the store is not: simulations put
their faults under it by inheriting from it.
"""

import asyncio
from typing import TypeVar

from tollbridge.ledger.model import Admission, Hold, Refusal, Settled, Settlement
from tollbridge.storage.batch import Batch
from tollbridge.storage.group_commit import GroupCommit
from tollbridge.storage.session import OutcomeUnknownError

T = TypeVar("T")


async def admit(group: GroupCommit[Batch], admission: Admission) -> Hold | Refusal:
    """See `AccountStore.admit`."""
    future = group.submit(lambda batch: batch.admit(admission), droppable=True)
    try:
        return await future
    except (asyncio.CancelledError, OutcomeUnknownError):
        # Nobody is told of the hold, and it may be there.
        if isinstance(_answer(future), Hold):
            group.submit(lambda batch: batch.abandon(admission), lasting=True)
        raise


def settle(group: GroupCommit[Batch], settlement: Settlement) -> asyncio.Future[Settled]:
    """See `AccountStore.settle`. Whoever cancels the future takes nothing back."""
    return group.submit(lambda batch: batch.settle(settlement))


def _answer(future: asyncio.Future[T]) -> object:
    """Of a command that is committed, or may be."""
    if future.cancelled():
        return None
    error = future.exception()
    if error is None:
        return future.result()
    return error.answer if isinstance(error, OutcomeUnknownError) else None
