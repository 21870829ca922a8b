"""What the head of an answer says of how it came about; docs/http.md has the list."""

from collections.abc import Sequence

STREAM_HEAD = (
    ("content-type", "text/event-stream; charset=utf-8"),
    ("cache-control", "no-cache"),
    ("x-accel-buffering", "no"),
)
"""The rest of a stream's head: proxies in between must not hold it back."""


def answer_head(
    *, upstream: str, attempts: int, dropped: Sequence[str], paid: int, wanted: int
) -> list[tuple[str, str]]:
    """Which upstream answered ("" for none) after how many attempts, what it was not told, and how
    many tokens its output was held to, where more were `wanted` than are `paid` for.
    """
    head = []
    if upstream:
        head.append(("x-tollbridge-upstream", upstream))
    head += attempts_head(attempts)
    if dropped:
        head.append(("x-tollbridge-dropped", ", ".join(dropped)))
    if paid < wanted:
        head.append(("x-tollbridge-max-tokens", str(paid)))
    return head


def attempts_head(attempts: int) -> list[tuple[str, str]]:
    """The part that errors have, too: how many attempts were sent, if more than one."""
    return [("x-tollbridge-attempts", str(attempts))] if attempts > 1 else []
