"""The tariff: what the end of an exchange costs, and why. One row each, one test per row."""

import enum

from msgspec.structs import astuple, replace

from tollbridge.usage import Provenance, TokenUsage

TOKENS_MAX = 100_000_000
"""A report of more tokens than any model can take or give is a mistake of the upstream's, and what
it would cost might not even fit the ledger."""


class Outcome(enum.StrEnum):
    """How an admitted exchange ended."""

    FINISHED = "finished"
    CLIENT_GONE = "client_gone"
    """The client left; the upstream was cancelled."""
    FAILED_EARLY = "failed_early"
    """The upstream failed or refused before the first byte to the client."""
    FAILED_MIDWAY = "failed_midway"
    """The upstream failed after the first byte."""
    KILLED = "killed"
    """The gateway process died; the sweeper charges the last checkpoint."""


def charge(
    outcome: Outcome, reported: TokenUsage | None, counted: TokenUsage, *, own: bool = False
) -> tuple[TokenUsage, Provenance]:
    """The row of the tariff for an ended exchange: the usage that is charged, and where it is from.

    `reported` is what the upstream said so far, `counted` our own count of the prompt and of what
    was delivered. `own` is an upstream of the environment's own: its usage costs nothing.
    """
    if own:
        return charge(outcome, reported, counted)[0], Provenance.OWN
    if reported is not None and max(astuple(reported)) > TOKENS_MAX:
        reported = None
    match outcome:
        case Outcome.FINISHED if reported is not None and _is_whole(reported, counted):
            return reported, Provenance.REPORTED
        case Outcome.FINISHED | Outcome.CLIENT_GONE | Outcome.FAILED_MIDWAY:
            return delivered(reported, counted), Provenance.COUNTED
        case Outcome.FAILED_EARLY:
            return TokenUsage(), Provenance.VOID
        case Outcome.KILLED:
            return delivered(reported, counted), Provenance.RECOVERED


def delivered(reported: TokenUsage | None, counted: TokenUsage) -> TokenUsage:
    """The prompt as reported if it is known, and the output so far.

    An upstream that reports as it goes may know of more output than we could count; it never knows
    of less.
    """
    if reported is None:
        return counted
    if reported.prompt == 0:
        reported = replace(reported, input=counted.input)
    return replace(reported, output=max(reported.output, counted.output))


def _is_whole(reported: TokenUsage, counted: TokenUsage) -> bool:
    # Servers that cannot count fill the members with zeros, or report the prompt only.
    return reported.prompt > 0 and (reported.output > 0 or counted.output == 0)
