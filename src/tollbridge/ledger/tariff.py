"""The tariff: what the end of an exchange costs, and why. One row each, one test per row."""

import enum
from typing import NamedTuple

from msgspec.structs import replace

from tollbridge.usage import Provenance, TokenUsage


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


class Charge(NamedTuple):
    """The usage that is charged, and its provenance on the receipt."""

    usage: TokenUsage
    provenance: Provenance


def charge(outcome: Outcome, reported: TokenUsage | None, counted: TokenUsage) -> Charge:
    """The row of the tariff for an ended exchange.

    `reported` is what the upstream said so far, `counted` our own count of the prompt and of what
    was delivered.
    """
    match outcome:
        case Outcome.FINISHED if reported is not None:
            return Charge(reported, Provenance.REPORTED)
        case Outcome.FINISHED:
            return Charge(counted, Provenance.COUNTED)
        case Outcome.CLIENT_GONE | Outcome.FAILED_MIDWAY:
            return Charge(delivered(reported, counted), Provenance.COUNTED)
        case Outcome.FAILED_EARLY:
            return Charge(TokenUsage(), Provenance.VOID)
        case Outcome.KILLED:
            return Charge(delivered(reported, counted), Provenance.RECOVERED)


def delivered(reported: TokenUsage | None, counted: TokenUsage) -> TokenUsage:
    """The prompt as reported if it is known, and the output so far.

    An upstream that reports as it goes may know of more output than we could count; it never knows
    of less.
    """
    if reported is None or reported.prompt == 0:
        return counted
    return replace(reported, output=max(reported.output, counted.output))
