"""Slots and minutes: how much of an environment or a key may run at once.

A minute is one of the clock. It admits requests as long as their number and their expected tokens
stay within the limits; when an exchange ends in the minute in which it began, its tokens are
corrected to what it used. A request that expects more tokens than a whole minute may have is
admitted as the first of a minute, and takes it whole: otherwise it would be refused for ever.
"""

import enum

import msgspec

from tollbridge.ledger.model import Limits
from tollbridge.units import MINUTE_MS, Millis


class Window(msgspec.Struct, frozen=True):
    """What was admitted in one minute. `minute` counts minutes since the epoch."""

    minute: int
    requests: int
    tokens: int


class Full(enum.Enum):
    """What a minute has no room for, in order of precedence."""

    REQUESTS = enum.auto()
    TOKENS = enum.auto()


def minute_of(now: Millis) -> int:
    """The minute in which this moment lies."""
    return now // MINUTE_MS


def is_rated(limits: Limits) -> bool:
    """Whether minutes have to be counted at all."""
    return limits.requests_per_minute > 0 or limits.tokens_per_minute > 0


def enter(window: Window | None, limits: Limits, tokens: int, now: Millis) -> Window | Full:
    """The window with one more request, or what it has no room for.

    `window` is the last one that was counted. A worker whose clock is behind counts in the window
    of the others.
    """
    minute = minute_of(now)
    if window is None or window.minute < minute:
        window = Window(minute, 0, 0)
    if limits.requests_per_minute and window.requests >= limits.requests_per_minute:
        return Full.REQUESTS
    counted = window.tokens + tokens
    if limits.tokens_per_minute and window.tokens and counted > limits.tokens_per_minute:
        return Full.TOKENS
    return Window(window.minute, window.requests + 1, counted)


def correct(window: Window, minute: int, expected: int, used: int) -> Window:
    """The window, if it is still that minute's, with the tokens that were used in truth."""
    if window.minute != minute:
        return window
    return Window(minute, window.requests, max(0, window.tokens + used - expected))


def seconds_left(now: Millis) -> int:
    """Until the next minute, rounded up."""
    return -(-(MINUTE_MS - now % MINUTE_MS) // 1000)
