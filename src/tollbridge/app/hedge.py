"""One request at two targets, for models whose operator wants that: the first good head wins."""

import asyncio

from tollbridge.app.attempts import Attempts
from tollbridge.app.ports import UpstreamReply
from tollbridge.app.sender import Sender, Sending
from tollbridge.errors import GatewayError


async def race(attempts: Attempts, sender: Sender, first: Sending) -> tuple[Sending, UpstreamReply]:
    """The first good head of an answer, and whose it is.

    Once `attempts.hedge_ms` have passed without one, a second target is asked, if one is well and
    free. Of two that are under way the one that comes too late is cancelled, and not to blame.

    Raises:
        GatewayError: of one alone, or of the last of two.
    """
    assert attempts.hedge_ms is not None
    runners = {asyncio.ensure_future(sender.send(first)): first}
    try:
        done, _ = await asyncio.wait(runners, timeout=attempts.hedge_ms / 1_000)
        if not done and (other := _second(attempts, sender)) is not None:
            runners[asyncio.ensure_future(sender.send(other))] = other
        while True:
            done, _ = await asyncio.wait(runners, return_when=asyncio.FIRST_COMPLETED)
            runner = next(runner for runner in runners if runner in done)
            sending = runners.pop(runner)
            error = runner.exception()
            if error is None or not runners:
                attempts.goes_on(sending.attempt)
                return sending, runner.result()
            if not isinstance(error, GatewayError):
                raise error
            attempts.failed_beside(sending.attempt, error)
            attempts.goes_on(next(iter(runners.values())).attempt)
    finally:
        for runner in runners:
            runner.add_done_callback(_drop)
            runner.cancel()


def _second(attempts: Attempts, sender: Sender) -> Sending | None:
    attempt = attempts.second()
    if attempt is None:
        return None
    try:
        sending = sender.write(attempt, sender.bridge(attempt.target))
    except GatewayError:  # it cannot be said there
        attempts.leave_second()
        return None
    attempts.sending()
    return sending


def _drop(late: asyncio.Future[UpstreamReply]) -> None:
    if not late.cancelled() and late.exception() is None:
        late.result().abort()
