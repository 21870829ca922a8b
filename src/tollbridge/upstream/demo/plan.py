"""What is going to be said: the mind writes it, the script puts it on the wire."""

from typing import Literal, NamedTuple

StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal"]


class Text(NamedTuple):
    """A text block; the pieces are one token each."""

    pieces: tuple[str, ...]


class Thought(NamedTuple):
    """A thinking block. Its tokens count even if it is not shown."""

    pieces: tuple[str, ...]
    signature: str
    shown: bool


class Call(NamedTuple):
    """A tool_use block; the pieces joined are its input as JSON, unless they were cut short."""

    id: str
    name: str
    pieces: tuple[str, ...]
    whole: bool


Block = Text | Thought | Call


class Manner(NamedTuple):
    """How the answer is delivered; none of it changes what is said."""

    pace_ms: float | None = None
    """Before each piece of a stream; None: the upstream's own."""
    stall_s: float = 0
    """Silence in the middle."""
    breaks: Literal["no", "error", "cut"] = "no"
    """In the middle: an error event, or the end of the connection."""


class Plan(NamedTuple):
    """A message with its usage."""

    model: str
    blocks: tuple[Block, ...]
    stop_reason: StopReason
    stop_sequence: str | None
    input_tokens: int
    output_tokens: int
    thinking_tokens: int
    manner: Manner


class Failure(NamedTuple):
    """An HTTP error."""

    status: int
    message: str
