"""A text that a simple regular expression accepts: for the `pattern` of a tool's schema."""

import re
from typing import NamedTuple

_PATTERN_MAX = 200
_REPEAT_MAX = 64
_AMBIGUOUS = re.compile(r"\[\[|--|&&|~~|\|\|")
"""Python warns that it may read these as set operations one day; such a pattern is not tried."""

_CANDIDATES = ("demo", "Demo", "DEMO", "a", "A", "1", "a1", "2026-01-01", "1.0.0", "+15550100")
_QUANTIFIER = re.compile(r"(?:[*+?]|\{([0-9]{1,3})(?:,[0-9]{0,3})?\})\??")
_CLASSES = {"d": "1", "w": "a", "s": " ", "D": "a", "W": "-", "S": "a"}
_EMPTY_ESCAPES = "bBAZz"
_SPECIAL = {"n": "\n", "t": "\t", "r": "\r"}


def example(pattern: str) -> str | None:
    """A text in which the pattern is found; None if none was found.

    Of a class the first member is taken, of alternatives the first, of repetitions the fewest.
    Lookarounds and back references are beyond it.
    """
    if len(pattern) > _PATTERN_MAX or _AMBIGUOUS.search(pattern):
        return None
    try:
        compiled = re.compile(pattern)
        written = _alternatives(pattern, 0).text
    except (re.error, RecursionError, OverflowError, IndexError):
        return None
    for candidate in (written, *_CANDIDATES):
        if compiled.search(candidate):
            return candidate
    return None


class _Read(NamedTuple):
    """What was written for a stretch of the pattern, and where the stretch ended."""

    text: str
    end: int


def _alternatives(pattern: str, at: int) -> _Read:
    """The first of `a|b|c`, up to a closing bracket or the end; the others are read over."""
    first, at = _sequence(pattern, at)
    while at < len(pattern) and pattern[at] == "|":
        _, at = _sequence(pattern, at + 1)
    return _Read(first, at)


def _sequence(pattern: str, at: int) -> _Read:
    text = ""
    while at < len(pattern) and pattern[at] not in "|)":
        atom, at = _atom(pattern, at)
        quantifier = _QUANTIFIER.match(pattern, at)
        if quantifier:
            at = quantifier.end()
            fewest = int(quantifier[1]) if quantifier[1] else int(quantifier[0][0] == "+")
            atom *= min(fewest, _REPEAT_MAX)
        text += atom
    return _Read(text, at)


def _atom(pattern: str, at: int) -> _Read:
    match pattern[at]:
        case "(":
            opened = re.compile(r"\((\?(:|P<\w+>))?").match(pattern, at)
            assert opened is not None, "it begins with a bracket"
            inner, at = _alternatives(pattern, opened.end())
            return _Read(inner, at + 1)
        case "[":
            return _set(pattern, at)
        case "\\":
            return _Read(_escape(pattern[at + 1]), at + 2)
        case "^" | "$":
            return _Read("", at + 1)
        case ".":
            return _Read("a", at + 1)
        case letter:
            return _Read(letter, at + 1)


def _set(pattern: str, at: int) -> _Read:
    """The first member of `[...]`; of a negated one the first common character outside."""
    negated = pattern[at + 1] == "^"
    first = at + 1 + negated
    end = first + 1  # A bracket in the first place is a member.
    while pattern[end] != "]":
        end += 2 if pattern[end] == "\\" else 1
    if negated:
        members = re.compile(pattern[at : end + 1])
        return _Read(next((c for c in "a1-A _" if members.match(c)), ""), end + 1)
    return _Read(_escape(pattern[first + 1]) if pattern[first] == "\\" else pattern[first], end + 1)


def _escape(letter: str) -> str:
    if letter in _EMPTY_ESCAPES:
        return ""
    return _CLASSES.get(letter) or _SPECIAL.get(letter) or letter
